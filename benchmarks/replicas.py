"""Three replicas behind nginx, and one is killed: python -m benchmarks.replicas [--visitors 30]

Each visitor keeps his seat by nginx's cookie and continues texts, with pauses, until the time is
over. In the middle one process is killed. Its visitors lose the run of that moment and are then
served by another; those of the others must notice nothing.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import httpx

from benchmarks.results import save
from tests.proxying import proxied
from tests.serving import process_of

REPLICAS = 3
PREFIX = "/rnn"


async def continued(client: httpx.AsyncClient, seed: int) -> bool:
    """Whether one continuation came to its end."""
    data = ["ROMEO:\n", "shakespeare", 200, 0.8, 0, 1.0, seed, "五绝", ""]
    try:
        joined = await client.post("gradio_api/call/continue", json={"data": data})
        event, last = joined.raise_for_status().json()["event_id"], ""
        async with client.stream("GET", f"gradio_api/call/continue/{event}") as stream:
            async for line in stream.aiter_lines():
                last = line or last
        return json.loads(last.removeprefix("data:"))[0]["complete"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return False


async def visitor(url: str, number: int, until: float, runs: list[tuple[int, float, bool]]) -> None:
    """One visitor; notes when each of his runs ended, and whether well."""
    chance = random.Random(number)
    async with httpx.AsyncClient(base_url=f"{url}/", timeout=60) as client:
        await client.get("")  # the page, and with it the seat
        while time.monotonic() < until:
            done = await continued(client, chance.randrange(10**6))
            runs.append((number, time.monotonic(), done))
            await asyncio.sleep(chance.expovariate(1))


async def load(url: str, visitors: int, seconds: float, kill: object) -> tuple[list[tuple[int, float, bool]], float]:
    """All visitors' runs, and when the replica was killed."""
    runs: list[tuple[int, float, bool]] = []
    until = time.monotonic() + seconds
    everyone = [asyncio.create_task(visitor(url, n, until, runs)) for n in range(visitors)]
    await asyncio.sleep(seconds / 2)
    killed = time.monotonic()
    kill()
    await asyncio.gather(*everyone)
    return runs, killed


def main() -> None:
    """Print and store what the visitors of each kind saw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--visitors", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=40)
    given = parser.parse_args()
    settings = {"GRADIO_ROOT_PATH": PREFIX, "GALLERY_RATE": "0"}
    with ExitStack() as stack:
        replicas = [stack.enter_context(process_of(settings)) for _ in range(REPLICAS)]
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(proxied(folder, [address for address, _ in replicas], PREFIX))
        runs, killed = asyncio.run(load(url, given.visitors, given.seconds, replicas[0][1].kill))
    failed = Counter(number for number, _, done in runs if not done)
    again = {number for number, at, done in runs if done and at > killed and number in failed}
    save(
        "replicas",
        {
            "replicas": REPLICAS,
            "visitors": given.visitors,
            "runs": len(runs),
            "visitors_who_noticed": len(failed),
            "most_runs_that_one_of_them_lost": max(failed.values(), default=0),
            "of_them_served_again": len(again),
            "failures_before_the_kill": sum(not done for _, at, done in runs if at < killed),
        },
    )


if __name__ == "__main__":
    main()
