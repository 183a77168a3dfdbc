"""Where the work is done.

A tick is one row times a matrix of some hundred columns, half a millisecond's work for the CPU. An H100 does
it in half of that (benchmarks/device.py), by a kernel that keeps the gates to itself, which the drawing shows:
ticks stay on the CPU. Whole texts and photos go through a module of PyTorch; where there is a
GPU, each module is timed on both with the work that it has to do, and stays where that is quicker.
A ZeroGPU Space lends its GPU for single calls only, so that there only long work asks for it.
"""

import os
import time
from collections.abc import Callable
from functools import cache
from typing import Any

CPU = "CPU"
TRIES = 3  # after one that sets everything up
LENT = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def placed(module: Any, work: Callable[[Any], Any]) -> Any:
    """The module on the device on which `work(module)` is quicker."""
    if len(there := devices()) > 1:
        module.to(min(there, key=lambda device: seconds(module.to(device), work)))
    return module


def devices() -> list[str]:
    """What modules may run on."""
    import torch

    return ["cpu", "cuda"] if torch.cuda.is_available() and not LENT else ["cpu"]


@cache
def cores() -> int:
    """How many cores PyTorch uses by default; first asked before any thread has another number."""
    import torch

    return torch.get_num_threads()


def use_cores(count: int) -> None:
    """Let this thread's work in PyTorch run on so many cores."""
    import torch

    if torch.get_num_threads() != count:
        torch.set_num_threads(count)


def seconds(module: Any, work: Callable[[Any], Any]) -> float:
    """The shortest of a few tries; `work` ends with its result in the CPU's memory."""
    took = []
    for _ in range(1 + TRIES):
        begun = time.perf_counter()
        work(module)
        took.append(time.perf_counter() - begun)
    return min(took[1:])


def name(module: Any) -> str:
    """What a visitor calls the device of a module: CPU, or the GPU's own name."""
    import torch

    return CPU if module.device.type == "cpu" else torch.cuda.get_device_name(module.device)


def borrowing(function: Callable[..., Any]) -> Callable[..., Any]:
    """On a ZeroGPU Space the function runs in a process that has a GPU while it runs; elsewhere as it is."""
    if not LENT:
        return function
    import spaces  # such a Space brings it

    return spaces.GPU(function)
