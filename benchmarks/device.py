"""Processor or graphics card? python -m benchmarks.device

Each piece of work that the page or the API hands to a module of PyTorch, on the processor and, where
there is one, on the GPU, in turn. `placed` (models/device.py) makes the same comparison when it opens a network.
A tick is NumPy's on the processor, as the page has it, against the same tick by PyTorch on the GPU.
"""

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import models
from benchmarks.results import save
from models import device
from models.captioner.network import read as look
from models.sentiment.explain import gradients
from models.sentiment.network import read

ROUNDS = 9
SENTENCE = list(range(100, 120))
PHOTO = np.zeros((1, 224, 224, 3), np.uint8)
WORK: dict[str, tuple[str, Callable[[Any], object]]] = {
    "photo": ("captioner/flickr8k", lambda net: look(net.module, PHOTO)),
    "sentence": ("sentiment/en", lambda net: read(net.module, [SENTENCE])),
    "sentence explained": ("sentiment/en", lambda net: gradients(net, SENTENCE)),
    "list of 64": ("sentiment/en", lambda net: read(net.module, [SENTENCE] * 64)),
    "list of 800": ("sentiment/en", lambda net: read(net.module, [SENTENCE] * 800)),
    "list of 800, both ways": ("sentiment/en-bidirectional", lambda net: read(net.module, [SENTENCE] * 800)),
}


def times_of(name: str, work: Callable[[Any], object]) -> dict[str, float]:
    """Milliseconds of the work on each device."""
    net, found = models.load(name), {}
    chosen = net.module.device
    for where in device.devices():
        net.module.to(where)
        found[where] = 1000 * statistics.median(device.seconds(net, work) for _ in range(ROUNDS))
    net.module.to(chosen)
    return found


def tick_times() -> dict[str, float]:
    """Milliseconds of one tick of one stream: in NumPy, and where there is a GPU, there."""
    net = models.load("charlm/shakespeare")
    state = net.zero()
    found = {"cpu": 1000 * statistics.median(device.seconds(net, lambda net: net.tick([5], state)) for _ in range(99))}
    if "cuda" in device.devices():
        module, ids = net.module, torch.tensor([[5]], device="cuda")
        after = module(ids).state

        def tick(_: Any) -> object:
            return module(ids, after).logits.cpu()

        with torch.inference_mode():
            found["cuda"] = 1000 * statistics.median(device.seconds(net, tick) for _ in range(99))
    return found


def main() -> None:
    """Print and store what each piece of work takes, and where the product does it."""
    models.warm()
    figures: dict[str, Any] = {"gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none"}
    for what, (name, work) in WORK.items():
        times = times_of(name, work)
        figures |= {f"{what}, ms on {where}": time for where, time in times.items()}
        figures[f"{what}, done on"] = models.load(name).module.device.type
    figures |= {f"tick, ms on {where}": time for where, time in tick_times().items()}
    save("device", figures | {"tick, done on": "cpu"})


if __name__ == "__main__":
    main()
