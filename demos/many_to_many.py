"""Many to many, 多对多: the network reads a beginning and goes on writing.

    R*BW*   reads every character of the beginning; at the last one it writes its first;
            from then on it lives on what it wrote itself

At every tick h_t = f(U·x_t + W·h_{t-1}) and p(x_{t+1}) = softmax(V·h_t). While it reads,
what it would have written is thrown away; while it writes, its own choice becomes the next
x_t. Nothing else changes between the two: the same three matrices do both.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np

import models
from demos import characters
from demos.base import Demo, Input, InputError, Step
from demos.limits import LIMITS, SHARE, Pace
from models.charlm.data import BREAKS, END
from models.charlm.data import FORMS as FORM_TOKENS
from models.sampling import cut, draw
from models.together import Writer

FORMS = ("五绝", "七绝", "五律", "七律")
LINES = {"五绝": 4, "七绝": 4, "五律": 8, "七律": 8}
MOST = LIMITS.written  # characters written in one go
PORTION = 10  # characters between two answers of the API, while they are few

TANG = {"network": ("tang",)}
INPUTS = (
    characters.NETWORK,
    Input("form", "choice", "五绝", choices=FORMS, only=TANG),
    characters.TEXT,
    Input("acrostic", "text", "", high=20, only=TANG),
    Input("length", "whole", min(300, MOST), low=1, high=MOST),
    Input("temperature", "number", 0.8, low=0, high=2, step=0.05),
    Input("top_k", "whole", 0, low=0, high=100, place="advanced"),
    Input("top_p", "number", 1.0, low=0.05, high=1, step=0.05, place="advanced"),
    Input("seed", "whole", 1, low=0, high=2**32 - 1, place="advanced"),
    Input("written", "tokens", (), high=5 * MOST, place="hidden"),
    Input("chosen", "places", (), high=5 * MOST, place="hidden"),
)

EXAMPLES = (
    {"network": "shakespeare", "text": "First Citizen:\n", "length": 200},
    {"network": "shakespeare", "text": "ROMEO:\nO, she doth teach ", "length": 200},
    {"network": "tang", "form": "五绝", "text": "床前明月光，", "acrostic": ""},
    {"network": "tang", "form": "七绝", "text": "", "acrostic": "循环网络"},
    {"network": "hongloumeng", "text": "宝玉听了，", "length": 200},
)


def steps(
    text: str,
    network: str = "shakespeare",
    length: int = 300,
    temperature: float = 0.8,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 1,
    form: str = "五绝",
    acrostic: str = "",
    written: Sequence[str] = (),
    chosen: Sequence[int] = (),
) -> Iterator[Step]:
    """One step a tick: reads `text`, replays `written`, then writes up to `length` tokens.

    `written` is what stands already, and `chosen` the places in it where the visitor put a
    token of his own: so a text goes on from where it stopped, or from any of its branches.
    The random number of a place depends on the seed and the place alone.
    """
    net = models.load(f"charlm/{network}")
    given = opening(net.normalise(text), form if network == "tang" else "")
    lines = Acrostic(acrostic if network == "tang" else "", LINES[form], given)
    uniforms = np.random.default_rng(seed).random(len(written) + length)

    def writer() -> Writer:
        reader = characters.Reader(net)
        for token in given[:-1]:
            yield Step(read=token, **(yield from reader.tick(token)))
        token = given[-1]
        for place, uniform in enumerate(uniforms):
            fields = (yield from reader.tick(token, temperature)) | {"fed" if place else "read": token}
            fields["surprise"] = None if place else fields["surprise"]
            chances = cut(reader.chances, top_k, top_p)
            wish = lines.wish(token)
            fields["chosen"] = place in chosen or (wish is not None and place >= len(written))
            wish = written[place] if place < len(written) else wish
            token = net.tokens[draw(chances, uniform)] if wish is None else wish
            fields["probability"] = reader.probability(token)
            yield Step(**fields, written=token, candidates=reader.candidates(chances))
            if token == END:
                return

    yield from net.together.run(writer())


def opening(text: str, form: str) -> list[str]:
    """The tokens that come from outside: a poem's form, if it is one, and the text."""
    given = [f"[{form}]", *text] if form else list(text)
    if not given:
        raise InputError("error.empty")
    return given


class Acrostic:
    """Gives the first character of each line, as the visitor wants it (藏头诗)."""

    def __init__(self, characters: str, lines: int, given: Sequence[str]) -> None:
        self.characters, self.halfway = [c for c in characters if not c.isspace()], False
        if len(self.characters) > lines:
            raise InputError("error.acrostic", lines=lines)
        for token in given[:-1]:
            self.wish(token)

    def wish(self, token: str) -> str | None:
        """What must follow this token, or None where the network is free; called at every tick.

        A couplet has two lines: a mark ends its first, a mark and a line break its second.
        """
        opens = token == "\n" or token in FORM_TOKENS
        starts_line = opens or token in "，；" or (token in BREAKS and not self.halfway)
        self.halfway = not opens and (self.halfway or starts_line)
        return self.characters.pop(0) if starts_line and self.characters else None


def continue_text(
    text: str,
    network: Literal["shakespeare", "tang", "hongloumeng"] = "shakespeare",
    length: int = 300,
    temperature: float = 0.8,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 1,
    form: Literal["五绝", "七绝", "五律", "七律"] = "五绝",
    acrostic: str = "",
) -> Iterator[dict[str, Any]]:
    """Continue a text character by character with a recurrent network.

    Args:
        text: The beginning that the network reads, at most 5000 characters. May be empty for tang.
        network: Which network: shakespeare (English plays), tang (Chinese poems), hongloumeng (a Chinese novel).
        length: How many characters to write, 1 to 2000. A poem ends by itself.
        temperature: From 0 (always the likeliest character) to 2 (wild).
        top_k: Choose among this many likeliest characters only; 0 for all.
        top_p: Choose among the fewest likeliest characters that together have this probability.
        seed: The same seed and arguments give the same text.
        form: For tang: the form of the poem, 4 or 8 lines of 5 or 7 characters.
        acrostic: For tang: the first character of each line.

    Returns:
        The continuation so far, streamed: its text, each token with its probability, and whether it is complete.
    """
    inputs = DEMO.check(locals())
    tokens: list[dict[str, Any]] = []
    due, pace = PORTION, Pace()
    for t, step in enumerate(steps(**inputs)):
        if step.written is not None:
            tokens.append({"token": step.written, "probability": round(step.probability, 5)})
        full = len(tokens) == due
        if full or (t % SHARE == SHARE - 1 and pace.due()):
            yield result(tokens, complete=False)
            due += full * max(PORTION, due // 2)  # each answer holds all before it
    yield result(tokens, complete=True)


def result(tokens: list[dict[str, Any]], complete: bool) -> dict[str, Any]:
    """The answer of the API."""
    text = "".join(t["token"] for t in tokens if t["token"] != END)
    return {"continuation": text, "tokens": list(tokens), "complete": complete}


DEMO = Demo(
    name="many_to_many",
    tab="many_to_many",
    order=30,
    pattern="R*BW*",
    inputs=INPUTS,
    examples=EXAMPLES,
    opening={"en": 0, "zh-CN": 2},
    steps=steps,
    header=characters.header,
    devices=characters.devices,
    numbers=partial(characters.numbers, steps),
    cards=characters.cards,
    api={"continue": continue_text},
)
