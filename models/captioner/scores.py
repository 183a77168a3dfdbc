"""BLEU (Papineni et al. 2002) and CIDEr-D (Vedantam et al. 2015, section 6) of captions.

The figures of pycocoevalcap, to which a test holds them, without its parts in Java and
quick enough to reward a caption while training. Captions are lists of words.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

N = 4  # the longest n-gram
SIGMA = 6.0  # CIDEr-D's tolerance for captions that are longer or shorter, in words
Words = Sequence[str]


def grams(words: Words) -> Counter:
    """How often each stretch of one to four words occurs."""
    return Counter(tuple(words[i : i + n]) for n in range(1, N + 1) for i in range(len(words) - n + 1))


def bleu(captions: Sequence[Words], references: Sequence[Sequence[Words]]) -> list[float]:
    """BLEU-1 to BLEU-4 of the whole set, from 0 to 100; a caption is as long as the closest reference."""
    right, made, length, wanted = np.zeros(N), np.zeros(N), 0, 0
    for caption, given in zip(captions, references, strict=True):
        most = Counter()
        for reference in given:
            most |= grams(reference)
        for gram, count in (grams(caption) & most).items():
            right[len(gram) - 1] += count
        made += [max(0, len(caption) - n) for n in range(N)]
        length += len(caption)
        wanted += min((abs(len(r) - len(caption)), len(r)) for r in given)[1]
    precision = np.log((right + 1e-15) / (made + 1e-9)).cumsum() / np.arange(1, N + 1)
    brevity = min(0.0, 1 - wanted / max(length, 1e-9))
    return (100 * np.exp(precision + brevity)).tolist()


class Vector(NamedTuple):
    """A caption for CIDEr: the weight of each n-gram, their norms by n, its length."""

    weights: dict[tuple, float]
    norms: list[float]
    length: int


class Cider:
    """CIDEr-D against these references, one list of captions a photo; rare n-grams weigh more."""

    def __init__(self, references: Sequence[Sequence[Words]]) -> None:
        counted = [[grams(r) for r in given] for given in references]
        self.seen = Counter(gram for given in counted for gram in set().union(*given))
        self.log_photos = math.log(len(references))
        self.references = [[self.vector(c) for c in given] for given in counted]

    def vector(self, counts: Counter) -> Vector:
        """Counts of n-grams, weighted by how few photos have them."""
        weights = {g: n * (self.log_photos - math.log(max(1, self.seen[g]))) for g, n in counts.items()}
        squares = [0.0] * N
        for gram, weight in weights.items():
            squares[len(gram) - 1] += weight * weight
        length = sum(n for g, n in counts.items() if len(g) == 2)
        return Vector(weights, [math.sqrt(s) for s in squares], length)

    def score(self, photo: int, caption: Words) -> float:
        """One caption's score, ten for each hundredth of likeness: people reach about 80 on Flickr8k."""
        mine = self.vector(grams(caption))
        return 1000 * sum(alike(mine, theirs) for theirs in self.references[photo]) / len(self.references[photo])

    def mean(self, captions: Sequence[Words]) -> float:
        """The score of a caption for each photo."""
        return float(np.mean([self.score(i, c) for i, c in enumerate(captions)]))


def alike(mine: Vector, theirs: Vector) -> float:
    """The mean cosine over n = 1 … 4, less for captions of other lengths."""
    dots = [0.0] * N
    for gram, weight in mine.weights.items():
        if other := theirs.weights.get(gram):
            dots[len(gram) - 1] += min(weight, other) * other
    cosines = sum(d / (a * b) for d, a, b in zip(dots, mine.norms, theirs.norms, strict=True) if a and b)
    return cosines / N * math.exp(-((mine.length - theirs.length) ** 2) / (2 * SIGMA**2))
