"""Who leaves, or presses Stop, frees his place: within a beat, whatever the function."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Semaphore
from types import SimpleNamespace
from typing import Any

import gradio as gr
import httpx
import pytest

import app
from demos import aligned, limits, listing, many_to_many, many_to_one, sentences
from models.charlm.network import Network
from tests.serving import CHROMIUM, chromium, free_port

LONG = "I have never been so bored by a film, and the end was no better. " * 20
TICK, TOKEN = 0.01, 1 / 40_000  # seconds that a tick and a token of a list take here
TOTAL = 2000  # ticks of a long run

# ---- by a clock that ticks with the network ---------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, tiny: None) -> list[float]:
    """The time, which passes with the networks' work only."""
    now, tick = [0.0], Network.tick

    def slow_tick(net: Network, *given: Any) -> Any:
        now[0] += TICK
        return tick(net, *given)

    def slow_chances(net: Any, rows: list[list[int]]) -> list[float]:
        now[0] += TOKEN * sum(map(len, rows))
        return [0.5] * len(rows)

    monkeypatch.setattr(Network, "tick", slow_tick)
    monkeypatch.setattr(sentences, "chance_of", slow_chances)
    monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def table(texts: list[str]) -> Iterator[Any]:
    """The table of many texts on the page."""
    page = SimpleNamespace(summary=len, bars_of=len, table_of=len, file_of=len)
    for name in ("summary", "bars_of", "table_of", "file_of"):
        setattr(page, name, lambda rows, lang: len(rows))
    return app.Many.results(page, "en", "\n".join(texts), None, "en", "one_way", lambda *_: None)


RUNS: dict[str, Callable[[], Iterator[Any]]] = {
    "continue": lambda: many_to_many.continue_text("O, she doth teach " * 50, length=1000, seed=3),
    "read": lambda: aligned.read_text("O, she doth teach " * 100),
    "sentiment": lambda: many_to_one.sentiment([LONG] * 300, "en"),
    "sentiment in Chinese": lambda: many_to_one.sentiment(["味道很好，下次还来！" * 40] * 300, "zh"),
    "table": lambda: table([LONG] * 300),
}


@pytest.mark.parametrize("name", RUNS)
def test_no_run_is_silent_for_a_second(clock: list[float], name: str) -> None:
    signs = [clock[0]]
    for _ in RUNS[name]():
        signs.append(clock[0])
    gaps = [later - earlier for earlier, later in itertools.pairwise(signs)]
    assert signs[-1] > 1.5  # a long run
    assert max(gaps) < 1
    assert len(gaps) < 10 + 4 * signs[-1]  # and not one that does nothing but give signs


def test_a_portion_is_bounded_by_its_length(clock: list[float]) -> None:
    for texts in ([LONG] * 100, ["a"] * 1000, ["x" * 10**6] * 3, [], ["", LONG]):
        portions = list(listing.portions(texts))
        assert [text for some in portions for text in some] == texts
        assert all(len(some) <= listing.PORTION for some in portions)
        assert all(sum(map(len, some[:-1])) < listing.LENGTH for some in portions)


# ---- over HTTP, tick by tick ------------------------------------------------------------


class Gate:
    """Lets one unit of work after the other pass, as far as it is told to, and counts them."""

    def __init__(self) -> None:
        self.places, self.given, self.passed = Semaphore(0), 0, 0

    def before(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same work, behind the gate."""

        def gated(*given: Any) -> Any:
            assert self.places.acquire(timeout=120)
            self.passed += 1
            return work(*given)

        return gated

    def let(self, count: int) -> None:
        """So many more may pass."""
        self.given += count
        self.places.release(count)

    def shut(self) -> None:
        """Take back what nobody has used."""
        while self.places.acquire(blocking=False):
            self.given -= 1

    def until(self, over: Callable[[], bool]) -> int:
        """Let one after the other pass until something is over; how many that took."""
        before = self.passed
        while not over() and self.passed - before < TOTAL:
            if self.given == self.passed:
                self.let(1)
            Event().wait(0.01)
        return self.passed - before


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch, tiny: None) -> Gate:
    """The gate before every tick, and before every portion of a list."""
    gate = Gate()
    monkeypatch.setattr(Network, "tick", gate.before(Network.tick))
    monkeypatch.setattr(sentences, "chance_of", gate.before(sentences.chance_of))
    monkeypatch.setattr(limits, "BEAT", 0.0)
    return gate


@pytest.fixture
def blocks(gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[gr.Blocks]:
    """The gallery in this process, so that its work can be counted."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    monkeypatch.setenv("GRADIO_SERVER_PORT", str(free_port()))
    blocks = app.build()
    app.launch(blocks)
    yield blocks
    gate.let(10**6)
    blocks.close()


def idle(blocks: gr.Blocks) -> bool:
    return not any(blocks._queue.active_jobs)


def left(blocks: gr.Blocks) -> bool:
    """Whether the server knows that nobody waits for any run."""
    return not any(event.alive for job in blocks._queue.active_jobs for event in job or ())


CALLS = {
    "continue": (["O, she doth ", "shakespeare", TOTAL, 0.8, 0, 1.0, 1, "五绝", ""], 3 * limits.SHARE),
    "read": (["O, she doth teach " * (TOTAL // 18), "shakespeare"], 3 * limits.SHARE),
    "sentiment": ([["good"] * 64 * 100, "en", "one_way"], 3),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_visitor_who_leaves_is_followed_by_his_run(blocks: gr.Blocks, gate: Gate, name: str) -> None:
    data, most = CALLS[name]
    address = f"{blocks.local_url}gradio_api/call/{name}"
    event = httpx.post(address, json={"data": data}, timeout=60).json()["event_id"]
    with httpx.stream("GET", f"{address}/{event}", timeout=60) as stream:
        gate.let(most)
        assert "generating" in next(line for line in stream.iter_lines() if "generating" in line)
    while not left(blocks):
        Event().wait(0.01)
    gate.shut()
    assert gate.until(lambda: idle(blocks)) <= most


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM, reason="no Chromium")
def test_stop_on_the_page_ends_the_ticks_of_the_server(blocks: gr.Blocks, gate: Gate) -> None:
    with chromium() as browser:
        page = browser.new_page(locale="en-GB")
        page.set_default_timeout(120_000)
        page.goto(f"{blocks.local_url}?tab=many_to_many&lang=en&text=ROMEO&length={TOTAL}")
        while idle(blocks):
            page.evaluate("new Promise(requestAnimationFrame)")  # lets the page go on
        token = page.locator("#many_to_many-drawing .drawing[data-state=running] .token[data-role=written]").first
        gate.until(token.is_visible)
        page.get_by_role("button", name="Stop", exact=True).locator("visible=true").first.click()
        assert gate.until(lambda: idle(blocks)) < TOTAL / 4
