"""Three replicas behind nginx, and one is killed: python -m benchmarks.replicas [--visitors 30] [--seconds 40]

Each visitor keeps the cookie that nginx gives him, continues texts and asks for verdicts, with pauses to
think. In the middle one replica is killed. Its visitors lose the run of that moment and are served
again by another; those of the others must notice nothing.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.results import save
from tests.proxying import LOG, proxied
from tests.serving import process_of

REPLICAS = 3
PREFIX = "/rnn"
THINK = 1.0  # seconds between two runs of a visitor, on average
CALLS = {
    "continue": ["ROMEO:\n", "shakespeare", 1000, 0.8, 0, 1.0, 1, "五绝", ""],
    "sentiment": ["Not a dull moment.", "en", "two_way"],
}


@dataclass(frozen=True)
class Run:
    """One call: by whom, which cookie he had, when it began, and whether it came to its end."""

    visitor: int
    cookie: str
    begun: float
    done: bool


async def called(client: httpx.AsyncClient, name: str) -> bool:
    """Whether one call came to its end."""
    try:
        joined = await client.post(f"gradio_api/call/{name}", json={"data": CALLS[name]})
        event, events = joined.raise_for_status().json()["event_id"], []
        async with client.stream("GET", f"gradio_api/call/{name}/{event}") as stream:
            stream.raise_for_status()
            events = [line async for line in stream.aiter_lines() if line.startswith("event:")]
        return events[-1:] == ["event: complete"]
    except (httpx.HTTPError, ValueError):
        return False


async def visitor(url: str, number: int, until: float, runs: list[Run]) -> None:
    """Open the page, then call with pauses until the time is over."""
    chance = random.Random(number)
    async with httpx.AsyncClient(base_url=f"{url}/", timeout=60) as client:
        (await client.get("")).raise_for_status()
        while time.monotonic() < until:
            await asyncio.sleep(chance.expovariate(1 / THINK))
            begun = time.monotonic()
            done = await called(client, chance.choice(sorted(CALLS)))
            runs.append(Run(number, client.cookies["gallery_replica"], begun, done))


async def load(url: str, visitors: int, seconds: float, kill: Callable[[], None]) -> tuple[list[Run], float]:
    """All visitors' runs, and when the replica was killed."""
    runs: list[Run] = []
    until = time.monotonic() + seconds
    everyone = [asyncio.create_task(visitor(url, n, until, runs)) for n in range(visitors)]
    await asyncio.sleep(seconds / 2)
    killed = time.monotonic()
    kill()
    await asyncio.gather(*everyone)
    return runs, killed


def served(log: Path) -> list[tuple[str, str]]:
    """A visitor's cookie and the replica that answered, of each request that nginx noted."""
    lines = [line.split() for line in log.read_text("utf-8").splitlines()]
    return [(words[0], words[-3]) for words in lines]  # of several replicas that were tried, the last answered


def told(runs: list[Run], killed_at: float, replica: str, requests: list[tuple[str, str]]) -> dict[str, Any]:
    """The figures: of the visitors of the replica that was killed, and of the others."""
    homes: dict[str, str] = {}
    for cookie, home in requests:
        homes.setdefault(cookie, home)
    lost = {run.visitor for run in runs if homes[run.cookie] == replica}
    later = [run for run in runs if run.begun > killed_at and run.visitor in lost]
    again = {run.visitor for run in later if run.done}
    return {
        "requests_per_replica": sorted(Counter(at for _, at in requests).values(), reverse=True),
        "requests_of_the_killed_one": sum(at == replica for _, at in requests),
        "runs": len(runs),
        "visitors_of_the_killed_one": len(lost),
        "errors_of_its_visitors": sum(not run.done for run in runs if run.visitor in lost),
        "errors_of_runs_begun_after_the_kill": sum(not run.done for run in runs if run.begun > killed_at),
        "errors_of_the_others": sum(not run.done for run in runs if run.visitor not in lost),
        "share_served_again": len(again) / max(1, len({run.visitor for run in later})),
    }


def main() -> None:
    """Print and store what the visitors of each kind saw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--visitors", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=40)
    given = parser.parse_args()
    settings = {"GRADIO_ROOT_PATH": PREFIX, "GALLERY_RATE": "0"}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        replicas = [stack.enter_context(process_of(settings)) for _ in range(REPLICAS)]
        url = stack.enter_context(proxied(folder, [address for address, _ in replicas], PREFIX))
        (killed, process), *_ = replicas
        runs, at = asyncio.run(load(url, given.visitors, given.seconds, process.kill))
        requests = served(folder / LOG)
    figures = {"replicas": REPLICAS, "visitors": given.visitors, "seconds": given.seconds}
    save("replicas", figures | told(runs, at, killed.removeprefix("http://"), requests))


if __name__ == "__main__":
    main()
