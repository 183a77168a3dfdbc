"""From a photo's encoding to a caption: beam search, one level a tick.

A beam keeps the `width` best beginnings. At each tick every beginning is continued with
every word; the best `width` of all continuations stay, the others are cut. What ends with
END is finished and waits. Sums of log-probabilities favour short captions, so finished ones
are compared by their mean over the words, raised to a power (Wu et al. 2016, section 7):

    score = log p(words) / length^alpha
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.tick import Array, State

LONGEST = 20  # words
ALPHA = 0.7
OTHERS = 2  # continuations shown beside each that is kept


@dataclass(eq=False)
class Branch:
    """A beginning of a caption: its last token, where it came from, its log-probability, its fate."""

    token: int
    total: float = 0.0  # log p of all its tokens, in nats
    parent: "Branch | None" = None
    length: int = 0
    kept: bool = False
    finished: bool = False

    def score(self, alpha: float = ALPHA) -> float:
        """The log-probability, normalised by the length."""
        return self.total / max(1, self.length) ** alpha

    def tokens(self) -> list[int]:
        """All its tokens, the first one first."""
        return [*(self.parent.tokens() if self.parent else ()), self.token]


def log_softmax(logits: Array) -> NDArray[np.float32]:
    """Log-probabilities over the last axis."""
    z = logits - logits.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def pick(state: State, rows: Sequence[int]) -> State:
    """These rows of a state, in this order."""
    return State(*(part[list(rows)] for part in state))


def levels(net: Any, state: State, logits: Array, language: str, width: int) -> Iterator[list[Branch]]:
    """Every tick's branches, the kept ones first, from the state (1, H) and the logits (1, V)
    after the language or after the words that stand already."""
    alive: list[Branch | None] = [None]
    places = width
    for tick in range(1, LONGEST + 2):
        chances = log_softmax(net.writable(logits, language))  # (B, V)
        if tick > LONGEST:
            chances[:, np.arange(chances.shape[1]) != net.end] = -np.inf
        found = [
            b for parent, row in zip(alive, chances, strict=True) for b in continuations(parent, row, width, net.end)
        ]
        found.sort(key=lambda b: -b.total)
        for branch in found[:places]:
            branch.kept = True
        yield found
        rows = [i for i, b in enumerate(found[:places]) if not b.finished]
        places = len(rows)
        if not rows:
            return
        parents = [alive.index(found[i].parent) for i in rows]
        alive = [found[i] for i in rows]
        logits, state, _ = net.tick([b.token for b in alive], pick(state, parents))


def continuations(parent: Branch | None, chances: NDArray[np.float32], width: int, end: int) -> list[Branch]:
    """The likeliest next words of one beginning."""
    before, length = (parent.total, parent.length) if parent else (0.0, 0)
    count = min(width + OTHERS, len(chances) - 1)
    best = np.argpartition(-chances, count)[:count]
    return [
        Branch(int(i), before + float(chances[i]), parent, length + 1, finished=int(i) == end)
        for i in best
        if np.isfinite(chances[i])
    ]


def search(net: Any, state: State, logits: Array, language: str, width: int, alpha: float = ALPHA) -> list[Branch]:
    """The finished captions, the best one first."""
    done = [b for level in levels(net, state, logits, language, width) for b in level if b.kept and b.finished]
    return sorted(done, key=lambda b: -b.score(alpha))


def caption(net: Any, encoding: Array, language: str, width: int = 3, alpha: float = ALPHA) -> list[str]:
    """The words of the best caption for an encoding (D,)."""
    seen = net.look(encoding[None], net.zero())
    logits, state, _ = net.tick([net.starts[language]], seen.state)
    best = search(net, state, logits, language, width, alpha)[0]
    return [net.tokens[i] for i in best.tokens() if i != net.end]
