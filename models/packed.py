"""A weight matrix laid out for oneDNN, once: several streams then cost little more than one.

NumPy's product of a matrix and a few vectors rearranges the matrix at every call, so that ten
streams together cost nearly as much as ten one after another. PyTorch's inductor calls the same
operators. Here their sum for one stream is the same, bit for bit, whoever else is in the batch.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from models import device

STREAMS = 8  # for which the layout is chosen; it serves any number

Times = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def available() -> bool:
    """Whether this processor's PyTorch was built with oneDNN."""
    return torch.backends.mkldnn.is_available()


def laid_out(weights: NDArray[np.float32]) -> Times:  # (N, K)
    """x (B, K) -> x · weights^T (B, N)."""
    layout = torch.ops.mkldnn._reorder_linear_weight(torch.from_numpy(weights), STREAMS)

    def times(x: NDArray[np.float32]) -> NDArray[np.float32]:
        device.use_cores(1)  # to wake another one takes longer than it helps
        with torch.inference_mode():
            return torch.ops.mkldnn._linear_pointwise(torch.from_numpy(x), layout, None, "none", [], "").numpy()

    return times
