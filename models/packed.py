"""A weight matrix laid out once for products with a few vectors: several streams then cost little more than one.

NumPy's product of a matrix and a few vectors rearranges the matrix at every call, so that ten
streams together cost nearly as much as ten one after another. PyTorch has two operators that
take a matrix which was laid out before. Here their sum for one stream is the same, bit for bit,
whoever else is in the batch.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from models import device

ROWS = 3  # FBGEMM sums up one row, or two, in another order than more; so the batch is filled up with zeros
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


def in_half(weights: NDArray[np.float32]) -> Times:  # (N, K)
    """x (B, K) -> x · weights^T (B, N), by FBGEMM (Khudia et al. 2021). The weights stay in half precision, as
    they lie on disk, and become single ones within the processor: what a tick waits for is the memory."""
    layout = torch.ops.quantized.linear_prepack_fp16(torch.from_numpy(weights), None)

    def times(x: NDArray[np.float32]) -> NDArray[np.float32]:
        device.use_cores(1)  # to wake another one takes longer than it helps
        rows = np.zeros((-(-len(x) // ROWS) * ROWS, x.shape[1]), np.float32)
        rows[: len(x)] = x
        with torch.inference_mode():
            return torch.ops.quantized.linear_dynamic_fp16(torch.from_numpy(rows), layout).numpy()[: len(x)]

    return times


def in_single(weights: NDArray[np.float32]) -> Times:  # (N, K)
    """x (B, K) -> x · weights^T (B, N), by oneDNN."""
    layout = torch.ops.mkldnn._reorder_linear_weight(torch.from_numpy(weights), STREAMS)

    def times(x: NDArray[np.float32]) -> NDArray[np.float32]:
        device.use_cores(1)
        with torch.inference_mode():
            return torch.ops.mkldnn._linear_pointwise(torch.from_numpy(x), layout, None, "none", [], "").numpy()

    return times
