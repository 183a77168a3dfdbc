"""A hall of visitors: python -m benchmarks.load [--visitors 100] [--seconds 180]

HTTP clients do what the page does, on all three tabs, with pauses to think, against a gallery in
a process of its own. The doors open once it has answered one of them on each tab. First as many come as
the gallery is made for; then three times as many with hardly a pause, of whom it must send some away in
words while the others' runs go on.
"""

import argparse
import asyncio
import json
import math
import random
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.results import Bound, save
from demos import discover, photos
from tests.serving import packed_inputs, process_of

THINK = 6.0  # seconds between two runs of a visitor, on average
SENTENCES = (
    "The food was cold, but the waiter made up for it.",
    "等了快一个小时，但是味道真的不错。",
    "Not a dull moment.",
)
WARM_UP = 60.0  # seconds after which the memory is what is compared
BOUNDS = {
    "hall_errors": Bound(most=0),
    "hall_refused": Bound(most=0),
    "hall_first_output_p95_seconds": Bound(most=3),
    "hall_memory_growth": Bound(most=1.1),
    "crowd_errors": Bound(most=0),
    "crowd_refusal_p95_seconds": Bound(most=1),
}


@dataclass
class Tally:
    """What the visitors saw."""

    first: list[float] = field(default_factory=list)  # seconds to the first output
    whole: int = 0
    errors: list[str] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)  # seconds until they were told so
    sentences: set[str] = field(default_factory=set)


def requests_of(config: dict[str, Any]) -> dict[str, tuple[int, list[dict[str, Any]]]]:
    """A demo's name -> the event that starts its run, and the components whose values it is given as JSON."""
    components = {c["id"]: c for c in config["components"]}
    packers = packed_inputs(config)
    starts = [d for d in config["dependencies"] if d["api_name"].startswith("start")]
    found = {}
    for event in starts:
        name = components[event["outputs"][0]]["props"]["elem_id"].removesuffix("-drawing")
        found.setdefault(name, (event["id"], [components[i] for i in packers[event["inputs"][0]]]))
    return found


async def asked(client: httpx.AsyncClient, name: str, inputs: list[dict[str, Any]], chance: random.Random) -> str:
    """What a visitor of a tab enters: the controls as they stand, a text or photo and a seed of his own."""
    own = {f"{name}-seed": chance.randrange(10**4), f"{name}-length": chance.randrange(100, 1000)}
    own |= {"language": "en", f"{name}-text": chance.choice(SENTENCES)}
    if any(c["props"].get("elem_id") == f"{name}-photo" for c in inputs):
        photo = photos.FOLDER / f"{chance.choice(photos.examples())}.jpg"
        sent = await client.post("/gradio_api/upload", files={"files": (photo.name, photo.read_bytes())})
        own[f"{name}-photo"] = {"path": sent.raise_for_status().json()[0], "meta": {"_type": "gradio.FileData"}}
    return json.dumps([own.get(c["props"].get("elem_id"), c["props"].get("value")) for c in inputs])


async def visit(
    client: httpx.AsyncClient, event: tuple[int, list[Any]], visitor: tuple[str, str], tally: Tally
) -> None:
    """One run, from the button to its last line."""
    begun, (session, lang) = time.perf_counter(), visitor
    join = {"fn_index": event[0], "data": event[1], "session_hash": session}
    answer = await client.post("/gradio_api/queue/join", json=join, headers={"accept-language": lang})
    if answer.status_code == 429:
        tally.refused.append(time.perf_counter() - begun)
        tally.sentences.add(answer.json()["detail"])
        return
    answer.raise_for_status()
    seen, last = "", {}
    async with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
        async for line in stream.aiter_lines():
            last = json.loads(line[5:]) if line.startswith("data:") else last
            if last.get("msg") == "process_generating" and not seen:
                tally.first.append(time.perf_counter() - begun)
            seen = last.get("msg", "") if last.get("msg") == "process_generating" else seen
            if last.get("msg") in ("process_completed", "close_stream"):
                break
    done = last.get("msg") == "process_completed" and last.get("success")
    tally.whole += bool(done and seen)
    if not (done and seen):
        tally.errors.append(str(last)[:200])


async def visitor(
    url: str, number: int, until: float, think: float, events: dict[str, Any], tally: Tally, runs: int = 10**6
) -> None:
    """One visitor, who goes from tab to tab until the time, or the number of his runs, is over."""
    chance = random.Random(number)
    session, lang = f"{chance.getrandbits(64):x}", chance.choice(("en", "zh-CN"))  # a page keeps its session
    async with httpx.AsyncClient(base_url=url, timeout=120, verify=False) as client:
        await asyncio.sleep(chance.random() * think)
        while time.monotonic() < until and (runs := runs - 1) >= 0:
            name = chance.choice(sorted(events))
            event, inputs = events[name]
            try:
                data = await asked(client, name, inputs, chance)
                await visit(client, (event, [data]), (session, lang), tally)
            except (httpx.HTTPError, ValueError) as error:
                tally.errors.append(repr(error))
            await asyncio.sleep(think and chance.expovariate(1 / think))


async def hall(url: str, visitors: int, seconds: float, think: float, pid: int) -> tuple[Tally, list[float]]:
    """All visitors at once, and the server's memory in MB meanwhile, once a second."""
    config = httpx.get(f"{url}/config").json()
    events = {name: event for name, event in requests_of(config).items() if name in {d.name for d in discover()}}
    for name in events:
        await visitor(url, 0, math.inf, 0, {name: events[name]}, Tally(), runs=1)
    tally, until, memory = Tally(), time.monotonic() + seconds, []
    everyone = [asyncio.create_task(visitor(url, n, until, think, events, tally)) for n in range(visitors)]
    while not all(task.done() for task in everyone):
        memory.append(resident(pid))
        await asyncio.sleep(1)
    await asyncio.gather(*everyone)
    return tally, memory


def resident(pid: int) -> float:
    """A process's resident memory in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1000


def told(tally: Tally, memory: list[float], prefix: str) -> dict[str, Any]:
    """The figures of one hall."""
    rank = statistics.quantiles(tally.first, n=100)
    figures = {"runs": tally.whole, "errors": len(tally.errors), "refused": len(tally.refused)}
    figures |= {"first_output_median_seconds": rank[49], "first_output_p95_seconds": rank[94]}
    if tally.refused:
        figures["refusal_p95_seconds"] = statistics.quantiles([0, *tally.refused], n=100)[94]
        figures["refused_with"] = " / ".join(sorted(tally.sentences))
    minute = min(int(WARM_UP), len(memory) // 2)
    figures |= {"memory_after_a_minute_mb": memory[minute], "memory_at_the_end_mb": memory[-1]}
    return {f"{prefix}_{key}": value for key, value in figures.items()}


def main() -> None:
    """Print and store what both halls saw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--visitors", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=180)
    given = parser.parse_args()
    figures: dict[str, Any] = {"visitors": given.visitors, "seconds": given.seconds, "think_seconds": THINK}
    with process_of({"GALLERY_RATE": "0"}) as (url, process):
        for prefix, many, think, seconds in (("hall", 1, THINK, given.seconds), ("crowd", 3, 1.0, given.seconds / 3)):
            tally, memory = asyncio.run(hall(url, many * given.visitors, seconds, think, process.pid))
            print(prefix, tally.errors[:5], flush=True)
            figures |= told(tally, memory, prefix)
    figures["hall_memory_growth"] = figures["hall_memory_at_the_end_mb"] / figures["hall_memory_after_a_minute_mb"]
    save("load", figures, BOUNDS)


if __name__ == "__main__":
    main()
