"""What the demos of the character networks share: two inputs, and a tick as a Step's fields."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

import models
from demos.base import Candidate, Input, Step, around, unit_numbers
from models.sampling import soften

BOOKS = ("shakespeare", "tang", "hongloumeng")
LONGEST = 5000  # characters read
SHOWN = 10  # candidates a tick

NETWORK = Input("network", "choice", "shakespeare", choices=BOOKS)
TEXT = Input("text", "text", "First Citizen:\n", high=LONGEST, lines=3)


class Reader:
    """A network at work on one text: its state, and what it believes comes next."""

    def __init__(self, net: Any) -> None:
        self.net, self.state = net, net.zero()
        self.belief: NDArray | None = None  # (V,)

    def tick(self, token: str) -> dict[str, Any]:
        """Put one token in; returns the step's state, memory, gates and surprise."""
        id_ = self.net.id(token)
        surprise = None if self.belief is None else -float(np.log2(max(self.belief[id_], 1e-30)))
        logits, self.state, gates = self.net.tick([id_], self.state)
        self.logits = logits[0]  # (V,)
        self.belief = soften(self.logits)
        fields = {"surprise": surprise, "state": np.concatenate([layer.h for layer in self.state])}  # L of (1, H)
        if self.state[0].c is not None:
            fields["memory"] = np.concatenate([layer.c for layer in self.state])
        fields["gates"] = {name: np.concatenate([layer[name] for layer in gates]) for name in gates[0]}
        return fields

    def probability(self, token: str) -> float:
        """What the network gives to this token as the next."""
        return float(self.belief[self.net.id(token)])

    def candidates(self, chances: NDArray) -> tuple[Candidate, ...]:
        """The likeliest next tokens, and with which chance each is drawn."""
        best = np.argpartition(-self.belief, SHOWN)[:SHOWN]
        best = best[np.argsort(-self.belief[best], kind="stable")]
        values = zip(best.tolist(), self.belief[best].tolist(), chances[best].tolist(), strict=True)
        return tuple(Candidate(self.net.tokens[i], p, q) for i, p, q in values)


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
        return card(models.facts(f"charlm/{book}"), book)
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
