"""From logits to a token: temperature, top-k, top-p (Holtzman et al. 2020), and the draw."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
LEAST = 1e-20  # in place of a temperature of 0: whatever is behind the best has no chance


def soften(logits: Floats, temperature: float | Floats = 1.0) -> Floats:
    """softmax(logits / temperature) over the last axis; temperature 0 is its limit, argmax. Of several rows,
    each has the same temperature, or one of its own (B, 1)."""
    z = np.exp((logits - logits.max(-1, keepdims=True)) / np.maximum(np.asarray(temperature, logits.dtype), LEAST))
    return z / z.sum(-1, keepdims=True)


def cut(chances: Floats, top_k: int = 0, top_p: float = 1.0) -> Floats:
    """Keep the `top_k` likeliest (0: all), then of them the fewest whose sum reaches `top_p`."""
    if not top_k and top_p >= 1:
        return chances
    order = np.argsort(-chances, kind="stable")[: top_k or None]
    ranked = chances[order] / chances[order].sum()
    kept = order[np.cumsum(ranked) - ranked < top_p]
    out = np.zeros_like(chances)
    out[kept] = chances[kept]
    return out / out.sum()


def draw(chances: Floats, uniform: float) -> int:
    """The token at which the running sum passes `uniform`, a number from 0 to 1."""
    total = chances.cumsum(dtype=np.float64)
    return min(int(total.searchsorted(uniform * total[-1], side="right")), len(chances) - 1)
