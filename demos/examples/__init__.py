"""Runs of the examples, kept as the page draws them, so that it plays before a network is loaded.

`python -m demos.examples` computes them anew; the texts are the networks' own and our own.
"""

import gzip
from pathlib import Path

from demos.base import Demo
from demos.views.trace import lines

HERE = Path(__file__).parent


def stored(demo: Demo, number: int) -> str:
    """The trace of a demo's example; empty where none is kept."""
    path = HERE / f"{demo.name}.{number}.jsonl.gz"
    return gzip.decompress(path.read_bytes()).decode("ascii") if path.exists() else ""


def compute(demo: Demo, number: int) -> str:
    """The same trace, by the network."""
    return "".join(lines(demo, demo.check(demo.examples[number]), f"{demo.name}-{number}", kept=True))


def store(demo: Demo, number: int) -> None:
    """Keep an example's trace."""
    packed = gzip.compress(compute(demo, number).encode("ascii"), 9, mtime=0)
    (HERE / f"{demo.name}.{number}.jsonl.gz").write_bytes(packed)
