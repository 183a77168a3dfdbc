"""A weight matrix laid out once for products with a few vectors: several streams then cost little more than one.

NumPy's product of a matrix and a few vectors rearranges the matrix at every call, so that ten
streams together cost nearly as much as ten one after another. PyTorch has two operators that
take a matrix which was laid out before. Here their sum for one stream is the same, bit for bit,
whoever else is in the batch.
"""

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from models import device

ROWS = range(3, 65)  # FBGEMM sums up one row, or two, in another order than more; see `alike`
SIZE = (2048, 1024)  # of the matrix with which that is tried out, and with how many streams
COMPANY = (1, 2, 3, 4, 5, 7, 10, 16, 33, 64)
STREAMS = 8  # for which oneDNN chooses its layout; it serves any number

Times = Callable[[NDArray[np.float32]], NDArray[np.float32]]
Layout = Callable[[NDArray[np.float32]], Times]


def layouts() -> Iterator[Layout]:
    """What this processor's PyTorch can do, the quickest first."""
    return (layout for layout in (in_half, in_single) if _works(layout))


def _works(layout: Layout) -> bool:
    """Whether this processor has what an operator needs, and then company changes no bit of a sum."""
    weights = np.random.default_rng(1).random(SIZE, np.float32)
    try:
        times, rows = layout(weights), np.repeat(weights[:1], COMPANY[-1], 0)
        return len({row.tobytes() for count in COMPANY for row in times(rows[:count])}) == 1
    except (RuntimeError, AttributeError):
        return False


@cache
def alike() -> list[int]:
    """With how many rows at once FBGEMM sums up every row in the same order. It cuts the rows into parts, and
    which ones depends on the processor; the last of seven, with AVX2, are two that go another way."""
    weights = np.random.default_rng(1).random((64, SIZE[1]), np.float32)
    layout, rows = _prepacked(weights), np.repeat(weights[:1], ROWS.stop, 0)
    sums = {count: {row.tobytes() for row in _product(rows[:count], layout)} for count in ROWS}
    return [count for count in sums if sums[count] == sums[ROWS.start]]


def in_half(weights: NDArray[np.float32]) -> Times:  # (N, K)
    """x (B, K) -> x · weights^T (B, N), by FBGEMM (Khudia et al. 2021). The weights stay in half precision, as
    they lie on disk, and become single ones within the processor: what a tick waits for is the memory."""
    layout, most = _prepacked(weights), alike()[-1]

    def times(x: NDArray[np.float32]) -> NDArray[np.float32]:
        if len(x) > most:
            return np.concatenate([times(x[i : i + most]) for i in range(0, len(x), most)])
        rows = np.zeros((next(count for count in alike() if count >= len(x)), x.shape[1]), np.float32)
        rows[: len(x)] = x
        return _product(rows, layout)[: len(x)]

    return times


def _prepacked(weights: NDArray[np.float32]) -> torch.ScriptObject:
    return torch.ops.quantized.linear_prepack_fp16(torch.from_numpy(weights), None)


def _product(rows: NDArray[np.float32], layout: torch.ScriptObject) -> NDArray[np.float32]:
    device.use_cores(1)  # to wake another one takes longer than it helps
    with torch.inference_mode():
        return torch.ops.quantized.linear_dynamic_fp16(torch.from_numpy(rows), layout).numpy()


def in_single(weights: NDArray[np.float32]) -> Times:  # (N, K)
    """x (B, K) -> x · weights^T (B, N), by oneDNN."""
    layout = torch.ops.mkldnn._reorder_linear_weight(torch.from_numpy(weights), STREAMS)

    def times(x: NDArray[np.float32]) -> NDArray[np.float32]:
        device.use_cores(1)
        with torch.inference_mode():
            return torch.ops.mkldnn._linear_pointwise(torch.from_numpy(x), layout, None, "none", [], "").numpy()

    return times
