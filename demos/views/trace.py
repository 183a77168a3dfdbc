"""A run as text: one JSON object a line, a header first and then one line a step.

The lines only ever grow at the end, so that a stream sends what is new and no more. The
characters that markup and templates are made of are escaped: the text is inert anywhere.

    header  {"run": "…", "pattern": "R*BW*", "cell": "lstm", "sizes": [E, H, V], "layers": L, …}
    step    r read, f fed, w written, p its probability, x chosen by the visitor, s surprise in
            bits, c candidates [[token, probability, chance], …], h the state: L·H bytes in
            base64, layer after layer, where byte b stands for (b - 128) / 127
            v verdicts, e effects and g pulls: {name: number}; b what stood before the token
            k beams [[token, parent, log-probability, kept, greedy], …]; z the state before was replaced
    error   {"run": "…", "error": "…"}, and {"end": "…"} as the last line of a run
"""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demos.base import Demo, Step

INERT = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&$`"})
ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def line(record: dict[str, Any]) -> str:
    """A record as one line of JSON in ASCII."""
    return ENCODER.encode(record).translate(INERT) + "\n"


def lines(demo: Demo, inputs: Mapping[str, Any], run: str, *, kept: bool = False) -> Iterator[str]:
    """A run of checked inputs, line by line; `run` tells one run on a page from the next. One that is
    `kept` for later does not say on which devices it was computed."""
    head = {"run": run, "demo": demo.name, "pattern": demo.pattern, **demo.header(**inputs)}
    if not kept:
        head["devices"] = demo.devices(**inputs)
    yield line(head | {"inputs": inputs})
    yield from map(step_line, demo.steps(**inputs))
    yield line({"end": True})


def pack(values: NDArray[np.float32]) -> str:
    """Values from -1 to 1 as bytes in base64; the error is at most 1/254."""
    return base64.b64encode((values * 127 + 128.5).clip(0, 255).astype(np.uint8)).decode()


def step_line(step: Step) -> str:
    """One tick as a line; what is absent is left out."""
    record = {"r": step.read, "f": step.fed, "w": step.written, "p": step.probability, "s": step.surprise}
    record = {k: round(v, 5) if isinstance(v, float) else v for k, v in record.items() if v is not None}
    if step.chosen:
        record["x"] = 1
    if step.before:
        record["b"] = step.before
    for key, values in (("v", step.verdicts), ("e", step.effects), ("g", step.pulls)):
        if values:
            record[key] = {name: float(f"{value:.5g}") for name, value in values.items()}
    if step.candidates:
        record["c"] = [[c.token, round(c.probability, 5), round(c.chance, 5)] for c in step.candidates]
    if step.replaced is not None:
        record["z"] = 1
    if step.beams:
        record["k"] = [[b.token, b.parent, round(b.total, 4), int(b.kept), int(b.greedy)] for b in step.beams]
    if step.state is not None:
        record["h"] = pack(step.state)
    return line(record)


def tick_record(step: Step) -> dict[str, Any]:
    """What a drawing shows of one tick on demand: gates as in `h` above, the cell scaled to fit."""
    record: dict[str, Any] = {"gates": {name: pack(gate) for name, gate in step.gates.items()}}
    if step.memory is not None:
        scale = max(1.0, float(np.abs(step.memory).max()))
        record |= {"memory": pack(step.memory / scale), "scale": scale}
    return record
