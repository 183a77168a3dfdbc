"""The unrolled network: alone, on made-up runs of every pattern, and on the page with a real one."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import axe_playwright_python
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from demos import discover
from demos.base import Candidate, Step, shape
from demos.text import words
from demos.views import HERE, script
from demos.views.trace import line, step_line
from tests.serving import CHROMIUM, chromium, gallery

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium; `make test` installs one"),
]
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")
HOSTILE = [
    "<img src=x onerror=hit()>",
    "${hit()}",
    "{{value}}",
    "\"'`",
    "\n",
    "\u202eabc",
    "e\u0301",
    "😀",
    "</script>",
]
UNROLLED = "#many_to_many-unrolled .unrolled"
SELECTED = f"{UNROLLED} .column[data-selected]"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with gallery() as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def made_up(kinds: str, tokens: list[str], layers: int = 2, units: int = 64) -> list[Step]:
    """Steps of the given kinds with random states."""
    rng, steps, last = np.random.default_rng(0), [], None
    for t, kind in enumerate(kinds):
        token = tokens[t % len(tokens)]
        writes = {"written": token, "probability": 0.5, "candidates": (Candidate(token, 0.5, 0.5),)}
        fed = {"fed": last} if kind == "W" and last is not None else {}
        fields = ({"read": token} if kind in "RB" else fed) | (writes if kind in "WB" else {})
        state = np.tanh(rng.standard_normal((layers, units))).astype(np.float32)
        steps.append(Step(**fields, state=state))
        last = token if kind in "WB" else last
    return steps


def draw(page: Page, pattern: str, steps: list[Step], directions: int = 1) -> None:
    """Put the drawing alone on an empty page and hand the steps to it."""
    lanes, units = steps[0].state.shape
    header = {"run": "1", "demo": "x", "pattern": pattern, "cell": "gru", "sizes": [8, units, 30]}
    header |= {"layers": lanes // directions, "directions": directions, "names": {"a": "verdict.positive"}}
    page.set_content("<!doctype html><title>drawing</title><div class=unrolled></div>")
    page.add_style_tag(content=(HERE / "unrolled.css").read_text("utf-8"))
    page.add_script_tag(content=(HERE / "unrolled.js").read_text("utf-8"))
    page.evaluate(
        """([english, header, lines]) => {
          window.hit = () => { window.wasHit = true; };
          const fill = (text, values) => text.replace(/\\{(\\w+)\\}/g, (whole, name) => values[name] ?? whole);
          const view = unrolled(document.querySelector('.unrolled'), {
            words: (key, values = {}) => fill(english[key], values),
            onSelect() {}, onFollow() {}, inspect: null,
          });
          view.reset(header);
          view.append(lines.map((line) => JSON.parse(line)));
          view.done(true);
          view.select(0);
          window.view = view;
        }""",
        [words("en"), json.loads(line(header)), [step_line(step) for step in steps]],
    )


def drawn(page: Page) -> Callable[[str], None]:
    """The whole script of a drawing on an empty page; hands a component's value to it."""
    page.set_content(
        "<!doctype html><title>drawing</title><div id=drawing><div class=drawing></div></div>"
        "<div id=x-unrolled><div class=slot></div></div>"
    )
    given = {"WORDS": {"en": words("en")}, "SLOT": "x-unrolled", "LIVE": "", "LARGEST": 1, "EXAMPLES": []} | {
        "DEFAULTS": {},
        "ONLY": {},
    }
    page.evaluate(
        """(body) => {
          window.props = { value: "", lang: "en" };
          window.watchers = {};
          new Function("element", "props", "watch", "trigger", "server", body)(
            document.getElementById("drawing"), props, (name, changed) => (watchers[name] = changed), () => {}, {});
        }""",
        script("text", **given, WORD_OF={}),
    )
    return lambda value: page.evaluate("(value) => { props.value = value; watchers.value(); }", value)


def run_of(name: str, tokens: list[str], kinds: str = "BW") -> str:
    """The trace of a run that writes these tokens."""
    header = {"run": name, "demo": "many_to_many", "pattern": "R*BW*", "cell": "gru", "sizes": [8, 64, 30], "layers": 2}
    header |= {"network": "x", "inputs": {}, "unknown": [], "unread": 0, "read": 0, "devices": {}}
    return "".join([line(header), *(step_line(step) for step in made_up(kinds, tokens)), line({"end": True})])


def test_a_run_that_was_asked_for_earlier_is_not_drawn_over_a_later_one(wide: Page) -> None:
    give = drawn(wide)
    page = wide.locator("#drawing .text")
    give(run_of("example-0", ["o", "p"]))
    expect(page).to_contain_text("p")
    give(run_of("5f0", ["a", "b"]))
    expect(page).to_contain_text("b")
    give(run_of("5ef", ["c", "d"]))
    give(line({"run": "5ee", "error": "an older error"}))
    expect(page).to_contain_text("b")
    assert "older" not in wide.content()
    give(run_of("5f1", ["e", "f"]))
    expect(page).to_contain_text("f")
    give(line({"run": "5f2", "error": "a later error"}))
    expect(wide.locator("#drawing .notice")).to_have_text("a later error")


def test_the_slower_the_frames_come_the_more_each_of_them_shows(browser: Browser) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        give = drawn(page)
        page.evaluate(
            """() => {
              let clock = 0, due = [];
              performance.now = () => clock;
              window.requestAnimationFrame = (frame) => due.push(frame);
              window.framesUntilDone = (apart) => {
                let count = 0;
                while (document.querySelector(".drawing").dataset.state !== "done") {
                  clock += apart;
                  due.splice(0).forEach((frame) => frame(clock));
                  count += 1;
                }
                return count;
              };
            }"""
        )
        frames = {}
        for name, apart in (("5f0", 16), ("5f1", 50), ("5f2", 1000)):
            give(run_of(name, ["a", "b"], "B" + 60 * "W"))
            frames[apart] = page.evaluate("framesUntilDone", apart)
            expect(page.locator("#drawing .token[data-role=written]")).to_have_count(61)
    assert frames[16] > 20 > frames[50] > 5 > frames[1000]


@pytest.fixture
def wide(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 2400, "height": 900}, reduced_motion="reduce")
    yield context.new_page()
    context.close()


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    """The gallery with its first example drawn."""
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 720}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{url}/?tab=many_to_many")
    expect(page.locator("#many_to_many-drawing .drawing[data-state=done]")).to_be_attached(timeout=60_000)
    expect(page.locator(SELECTED)).to_be_attached()
    yield page
    context.close()


@pytest.mark.parametrize(
    ("pattern", "kinds"),
    [("RW+", "RWWWWW"), ("R*B", "RRRRRB"), ("R*BW*", "RRRBWWWW"), ("B+", "BBBBBB"), ("R+W+", "RRRRWWWW")],
)
def test_columns_have_the_shape_of_the_pattern(wide: Page, pattern: str, kinds: str) -> None:
    steps = made_up(kinds, list("abcdef"))
    draw(wide, pattern, steps)
    columns = wide.locator(".column")
    expect(columns).to_have_count(len(kinds))
    drawn = "".join(columns.evaluate_all("nodes => nodes.map((node) => node.dataset.kind)"))
    assert drawn == shape(steps)
    assert re.fullmatch(pattern, drawn)
    fed = columns.evaluate_all("nodes => nodes.map((node) => node.querySelectorAll('.fed-back').length)")
    assert [n > 0 for n in fed] == [step.fed is not None for step in steps]


def test_both_directions_meet_at_the_output(wide: Page) -> None:
    draw(wide, "R*B", made_up("RRRB", ["x"]), directions=2)
    last = wide.locator(".skin.last")
    expect(last).to_have_count(2)
    ticks = last.evaluate_all("nodes => nodes.map((node) => node.closest('.column').dataset.t)")
    assert sorted(ticks) == ["0", "3"]
    heights = last.evaluate_all("nodes => nodes.map((node) => Number(node.getAttribute('y')))")
    assert heights[ticks.index("0")] < heights[ticks.index("3")]
    assert wide.locator(".column .zero").evaluate_all("nodes => nodes.length") == 2
    names = wide.locator(".column[data-t='1'] .weight").all_text_contents()
    assert sorted(names) == sorted(["U→", "U←", "W→", "W←"])
    expect(wide.locator(".column[data-t='3'] .weight", has_text="V")).to_have_count(1)
    expect(wide.locator(".shapes")).to_contain_text("(1, 4, 128)")
    expect(wide.locator(".shapes")).to_contain_text("(2, 1, 64)")
    expect(wide.locator(".layers button")).to_have_text(
        [words("en")["unrolled.lane.forward"], words("en")["unrolled.lane.backward"]]
    )
    wide.locator(".layers button").last.click()
    expect(wide.locator(".equation").first).to_contain_text("h2(1, 64)")


@pytest.mark.parametrize("layers", [1, 2])
def test_one_word_read_in_both_directions(wide: Page, layers: int) -> None:
    draw(wide, "R*B", made_up("B", ["x"], layers=2 * layers), directions=2)
    expect(wide.locator(".column")).to_have_count(1)
    expect(wide.locator(".skin.last")).to_have_count(2)
    expect(wide.locator(".column .zero")).to_have_count(2 * layers)


def test_what_is_written_can_have_a_name_in_the_visitors_language(wide: Page) -> None:
    draw(wide, "R*B", made_up("RB", ["b", "a"]))
    wide.evaluate("view.select(1)")
    expect(wide.locator(".column[data-t='1']")).to_have_attribute(
        "aria-label", re.compile(words("en")["verdict.positive"])
    )


def test_hostile_text_is_drawn_as_typed_and_never_runs(wide: Page) -> None:
    draw(wide, "B+", made_up("B" * len(HOSTILE), HOSTILE))
    expect(wide.locator(".column")).to_have_count(len(HOSTILE))
    wide.evaluate(f"view.select({len(HOSTILE) - 1})")
    expect(wide.locator(f".column[data-t='{len(HOSTILE) - 1}'][data-selected]")).to_be_attached()
    assert wide.evaluate("window.wasHit") is None
    assert wide.locator(".unrolled img, .unrolled script").count() == 0
    assert wide.locator(".bar").first.get_attribute("data-token") == HOSTILE[-1]
    labels = wide.locator(".column").evaluate_all("nodes => nodes.map((node) => node.getAttribute('aria-label'))")
    assert HOSTILE[0] in labels[0]


def test_a_thousand_ticks_keep_few_nodes(wide: Page) -> None:
    wide.set_viewport_size({"width": 1280, "height": 720})
    draw(wide, "R*BW*", made_up("R" * 14 + "B" + "W" * 985, list("abc\n "), units=512))
    for t in (0, 250, 500, 999):
        wide.evaluate(f"view.select({t})")
        expect(wide.locator(f".column[data-t='{t}'][data-selected]")).to_be_attached()
        assert wide.locator(".column").count() <= 40
        assert wide.locator(".unrolled *").count() < 3000


def test_the_drawing_shows_the_networks_own_probabilities(page: Page) -> None:
    demo = next(d for d in discover() if d.name == "many_to_many")
    steps = list(demo.steps(**demo.check(demo.examples[0])))
    page.locator("#many_to_many-drawing .token[data-role=written]").nth(3).click()
    t = next(t for t, step in enumerate(steps) if step.written is not None) + 3
    expect(page.locator(f"{UNROLLED} .column[data-t='{t}'][data-selected]")).to_be_attached()
    shown = page.locator(f"{UNROLLED} .bar").evaluate_all(
        "nodes => nodes.map((node) => [node.dataset.token, Number(node.dataset.probability)])"
    )
    expected = [(c.token, pytest.approx(c.probability, abs=1e-4)) for c in steps[t].candidates]
    assert [tuple(pair) for pair in shown] == expected


def test_keys_and_mouse_select_a_tick(page: Page) -> None:
    page.locator(f"{UNROLLED} .scroller").focus()
    for key, t in (("Home", 0), ("ArrowRight", 1), ("PageDown", 2), ("PageUp", 1), ("ArrowLeft", 0), ("End", 213)):
        page.keyboard.press(key)
        expect(page.locator(SELECTED)).to_have_attribute("data-t", str(t))
    page.keyboard.press("Home")
    page.locator(f"{UNROLLED} .column[data-t='3']").click()
    expect(page.locator(SELECTED)).to_have_attribute("data-t", "3")
    expect(page.locator("#many_to_many-drawing .token[aria-selected=true]")).to_have_text("s")


def test_it_plays_and_pauses(page: Page) -> None:
    page.locator(f"{UNROLLED} .scroller").focus()
    page.keyboard.press("Home")
    page.locator(f"{UNROLLED} .speed").select_option("16")
    page.get_by_role("button", name="Play").locator("visible=true").click()
    page.wait_for_function(f"() => Number(document.querySelector('{SELECTED}')?.dataset.t) >= 5")
    page.get_by_role("button", name="Pause").locator("visible=true").click()
    expect(page.get_by_role("button", name="Play").locator("visible=true")).to_be_visible()
    stopped = page.locator(SELECTED).get_attribute("data-t")
    page.locator(f"{UNROLLED} .scroller").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(SELECTED)).to_have_attribute("data-t", str(int(stopped) + 1))


def test_a_unit_is_followed_through_time_and_can_be_redone_by_hand(page: Page) -> None:
    page.locator(f"{UNROLLED} .scroller").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.locator(f"{UNROLLED} .map.h .cells").last.click(position={"x": 30, "y": 20})
    expect(page.locator(f"{UNROLLED} .column .value-line").first).to_be_attached()
    expect(page.locator("#many_to_many-drawing .page.following")).to_be_attached()
    expect(page.locator(f"{UNROLLED} .sums td.result")).to_have_count(4)
    page.get_by_role("button", name="Stop following").click()
    expect(page.locator(f"{UNROLLED} .column .value-line")).to_have_count(0)
    expect(page.locator("#many_to_many-drawing .page.following")).to_have_count(0)


def test_units_that_follow_something_are_found(page: Page) -> None:
    page.get_by_role("button", name="Find them in this text").locator("visible=true").click()
    found = page.locator(f"{UNROLLED} .found button").first
    expect(found).to_contain_text("r =")
    found.click()
    expect(page.locator(f"{UNROLLED} .column .value-line").first).to_be_attached()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390)])
def test_axe_finds_nothing(browser: Browser, url: str, scheme: str, width: int) -> None:
    size = {"width": width, "height": 800}
    context = browser.new_context(locale="zh-CN", viewport=size, color_scheme=scheme, reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{url}/?tab=many_to_many")
    expect(page.locator(SELECTED)).to_be_attached(timeout=60_000)
    page.locator("#many_to_many-drawing .token[data-role=written]").nth(3).click()
    expect(page.locator(f"{UNROLLED} .stale")).to_have_count(
        0
    )  # the last tick's numbers fade until the new ones are there
    page.evaluate(AXE)
    found = page.evaluate("axe.run(document)")
    told = [(v["id"], v["nodes"][0]["html"][:200], v["nodes"][0]["failureSummary"]) for v in found["violations"]]
    context.close()
    assert told == [], "\n".join(map(str, told))
