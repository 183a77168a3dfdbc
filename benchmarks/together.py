"""Ten streams together against ten one after another: python -m benchmarks.together

Twice: the generators that everything consumes, in threads of this process, and `/continue` of a
running gallery. The texts are the same, so that only the company differs; that they are the
same to the bit is checked.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from gradio_client import Client
from threadpoolctl import threadpool_limits

import models
from benchmarks.results import Bound, save
from demos import many_to_many
from tests.serving import gallery

STREAMS = 10
LENGTH = 500
ROUNDS = 5
# Over HTTP every request also costs what Gradio does for it, which no company shortens.
BOUNDS = {"generators_times_as_fast": Bound(least=4)}


def in_process(network: str) -> Callable[[int], str]:
    """One continuation by the demo's own generator."""

    def one(seed: int) -> str:
        return "".join(s.written or "" for s in many_to_many.steps("宝玉", network, length=LENGTH, seed=seed))

    return one


def over_http(url: str, network: str) -> Callable[[int], str]:
    """One continuation by a client of the API."""
    clients = [Client(url, verbose=False) for _ in range(STREAMS)]

    def one(seed: int) -> str:
        given = {"text": "宝玉", "network": network, "length": LENGTH, "seed": seed}
        return clients[seed].submit(**given, api_name="/continue").result()["continuation"]

    return one


def ratio(one: Callable[[int], str]) -> tuple[float, float]:
    """How many times as fast together as apart, and the seconds together; medians."""
    found = []
    with ThreadPoolExecutor(STREAMS) as pool:
        list(pool.map(one, range(STREAMS)))
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            apart = [one(seed) for seed in range(STREAMS)]
            between = time.perf_counter()
            together = list(pool.map(one, range(STREAMS)))
            assert apart == together
            found.append(((between - begun) / (time.perf_counter() - between), time.perf_counter() - between))
    return statistics.median(r for r, _ in found), statistics.median(s for _, s in found)


def main() -> None:
    """Print and store the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("network", nargs="?", default="shakespeare")
    network = parser.parse_args().network
    threadpool_limits(1, "blas")
    models.warm()
    figures = {"streams": STREAMS, "characters_each": LENGTH, "network": network}
    figures["generators_times_as_fast"], figures["generators_seconds_together"] = ratio(in_process(network))
    with gallery() as url:
        figures["http_times_as_fast"], figures["http_seconds_together"] = ratio(over_http(url, network))
    save("together", figures, BOUNDS)


if __name__ == "__main__":
    main()
