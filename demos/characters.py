"""What the demos of the character networks share: two inputs, and a tick as a Step's fields."""

from collections.abc import Callable, Generator, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

import models
from demos.base import Candidate, Input, Step, around, unit_numbers
from demos.limits import LIMITS
from models import device
from models.charlm.network import Row
from models.together import Wish

BOOKS = ("shakespeare", "tang", "hongloumeng")
LONGEST = LIMITS.beginning  # characters read

NETWORK = Input("network", "choice", "shakespeare", choices=BOOKS)
TEXT = Input("text", "text", "First Citizen:\n", high=LONGEST, lines=3)


class Reader:
    """A network at work on one text: what it believes comes next."""

    def __init__(self, net: Any) -> None:
        self.net = net
        self.belief: NDArray | None = None  # (V,)

    def tick(self, token: str, temperature: float = 1.0) -> Generator[Wish, Row, dict[str, Any]]:
        """Put one token in; returns the step's state, memory, gates and surprise. What comes next can be drawn
        at this temperature."""
        id_ = self.net.id(token)
        surprise = None if self.belief is None else -float(np.log2(max(self.belief[id_], 1e-30)))
        row = yield Wish(id_, temperature)
        self.belief, self.chances, self.best = row.belief, row.chances, row.best  # (V,), (V,), ids
        return {"surprise": surprise, "state": row.state, "memory": row.memory, "gates": row.gates}

    def probability(self, token: str) -> float:
        """What the network gives to this token as the next."""
        return float(self.belief[self.net.id(token)])

    def candidates(self, chances: NDArray) -> tuple[Candidate, ...]:
        """The likeliest next tokens, and with which chance each is drawn."""
        tokens = map(self.net.tokens.__getitem__, self.best.tolist())
        return tuple(map(Candidate, tokens, self.belief[self.best].tolist(), chances[self.best].tolist()))


def header(network: str, text: str, **_: Any) -> dict[str, Any]:
    """What a drawing needs to know of the network before its first step."""
    net = models.load(f"charlm/{network}")
    config = net.config
    return {
        "network": network,
        "cell": config["cell"],
        "layers": config["num_layers"],
        "sizes": [config["embedding_size"], config["hidden_size"], config["vocab_size"]],
        "parameters": net.parameters,
        "unknown": net.unknown(net.normalise(text)),
        "card_bits": net.scores.get("bits_per_char"),
    }


def devices(**_: Any) -> dict[str, str]:
    """What computed which part: single ticks are all there is."""
    return {"tick": device.CPU}


def numbers(
    steps: Callable[..., Iterator[Step]], inputs: dict[str, Any], t: int, layer: int, unit: int
) -> dict[str, Any]:
    """Everything that one unit computed at a tick, so that it can be done again by hand."""
    net = models.load(f"charlm/{inputs['network']}")
    before, now, _ = around(steps(**inputs), t)
    token = now.read if now.read is not None else now.fed
    x = net.embedding[net.id(token)] if layer == 0 else now.state[layer - 1]
    return unit_numbers(net.layers[layer], x, before, now, layer, unit)


def cards() -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """The facts on each book's network, from its files; no network is loaded."""
    return {f"choice.{book}": _card_of(book) for book in BOOKS}


def _card_of(book: str) -> list[tuple[str, dict[str, Any]]]:
    """A damaged network costs its own card only."""
    try:
        with models.reading(name := f"charlm/{book}"):
            return card(models.facts(name), book)
    except models.NetworkError:
        return [("error.network", {})]


def card(facts: dict[str, Any], book: str) -> list[tuple[str, dict[str, Any]]]:
    """One network's size, data, score and failures, as keys of demos/text with their values."""
    config, scores = facts["config"], facts["scores"]
    size = {"units": config["hidden_size"], "layers": config["num_layers"], "vocab": config["vocab_size"]}
    score = {"nats": f"{scores['nats_per_char']:.3f}", "bits": f"{scores['bits_per_char']:.3f}"}
    rows = [
        ("card.size", size | {"cell": config["cell"].upper(), "parameters": f"{scores['parameters']:,}"}),
        (f"card.{book}.data", {}),
        ("card.score", score | {"characters": f"{scores['characters']:,}"}),
    ]
    if "form" in scores:
        rows.append(("card.form", {"share": f"{scores['form']:.1%}"}))
    return [*rows, (f"card.{book}.failures", {})]
