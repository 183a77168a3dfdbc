"""Many to many, aligned 多对多（对齐）: one output for every input.

    B+      at every tick the network reads a character and writes what it expects next

The text is the visitor's own. How badly each guess fails is the surprise of the character
that comes, -log2 p(x_t | x_1 … x_{t-1}) bits; their mean is the figure on the network's card.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

import numpy as np

import models
from demos import characters
from demos.base import Demo, InputError, Step
from demos.limits import SHARE, Pace
from models.charlm.data import form_of
from models.together import Writer

INPUTS = (characters.NETWORK, characters.TEXT)

EXAMPLES = (
    {"network": "shakespeare", "text": "To be, or not to be, that is the question:\nWhether 'tis nobler in the mind"},
    {"network": "shakespeare", "text": "Recurrent neural networks read one character at a time."},
    {"network": "tang", "text": "白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。"},
    {"network": "hongloumeng", "text": "黛玉听了，不觉又喜又惊，又悲又叹。"},
)


def steps(text: str, network: str = "shakespeare") -> Iterator[Step]:
    """One step a character: its surprise, and the network's guess at the next."""
    net = models.load(f"charlm/{network}")
    text = net.normalise(text)
    if not text:
        raise InputError("error.empty")

    def writer() -> Writer:
        reader = characters.Reader(net)
        for token in [form_of(text), *text] if network == "tang" else text:
            fields = yield from reader.tick(token)
            guess = net.tokens[int(np.argmax(reader.belief))]
            best = reader.candidates(reader.belief)
            yield Step(read=token, written=guess, probability=reader.probability(guess), candidates=best, **fields)

    yield from net.together.run(writer())


def read_text(
    text: str, network: Literal["shakespeare", "tang", "hongloumeng"] = "shakespeare"
) -> Iterator[dict[str, Any]]:
    """Read a text with a recurrent network and measure how surprising each character is.

    Args:
        text: The text to read, 1 to 5000 characters.
        network: Which network: shakespeare (English plays), tang (Chinese poems), hongloumeng (a Chinese novel).

    Returns:
        The mean surprise in bits per character so far, and each character with its own, streamed.
    """
    seen: list[Step] = []
    pace, inputs = Pace(), DEMO.check(locals())
    for t, step in enumerate(steps(**inputs)):
        seen += [step] if step.surprise is not None else []
        if t % SHARE == SHARE - 1 and pace.due():
            yield result(seen)
    yield result(seen)


def result(seen: list[Step]) -> dict[str, Any]:
    """The answer of the API."""
    tokens = [{"token": step.read, "bits": round(step.surprise, 3)} for step in seen]
    mean = sum(step.surprise for step in seen) / len(seen) if seen else None
    return {"bits_per_character": mean, "tokens": tokens}


DEMO = Demo(
    name="aligned",
    tab="many_to_many",
    order=31,
    pattern="B+",
    inputs=INPUTS,
    examples=EXAMPLES,
    opening={"en": 0, "zh-CN": 2},
    steps=steps,
    header=characters.header,
    devices=characters.devices,
    numbers=partial(characters.numbers, steps),
    cards=characters.cards,
    api={"read": read_text},
)
