"""How long from a photo to its caption? python -m benchmarks.caption

The network on the page against a captioner of BLIP-base's shape (a ViT-B/16 of 384 pixels and a
text decoder of twelve layers, random weights: the speed is the same), both with the same photo,
the same beam and the same number of words, the same threads, in turn, round by round in this one
run. The last line is one JSON object.
"""

import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from transformers import BlipConfig, BlipForConditionalGeneration

import models
from demos.one_to_many import NETWORK
from demos.photos import examples, pixels_of
from models.captioner.search import caption

ROUNDS = 5
BEAM = 3


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def blip(words: int) -> Callable[[], object]:
    """A BLIP-base with random weights that writes as many words."""
    net = BlipForConditionalGeneration(BlipConfig()).eval()
    size = net.config.vision_config.image_size
    pixels = torch.randn(1, 3, size, size)
    length = {"min_new_tokens": words, "max_new_tokens": words}

    def write() -> object:
        with torch.inference_mode():
            return net.generate(pixel_values=pixels, num_beams=BEAM, do_sample=False, **length)

    return write


def main() -> None:
    """Time both in turn and print the medians."""
    network, photo = models.load(NETWORK), pixels_of(examples()[0])[None]
    words = len(caption(network, network.encode(photo)[0], "en", BEAM))

    def ours() -> list[str]:
        return caption(network, network.encode(photo)[0], "en", BEAM)

    writers = {"network": ours, "blip": blip(words)}
    times: dict[str, list[float]] = {name: [] for name in writers}
    for name, work in [*writers.items()] * (ROUNDS + 1):
        times[name].append(seconds(work))
    ratios = [b / a for a, b in zip(times["network"][1:], times["blip"][1:], strict=True)]
    looking = statistics.median(seconds(lambda: network.encode(photo)) for _ in range(ROUNDS))
    out = {f"{name}_seconds": round(statistics.median(values[1:]), 4) for name, values in times.items()}
    out |= {"looking_seconds": round(looking, 4), "times_blip": round(float(np.median(ratios)), 1)}
    print(json.dumps(out | {"words": words, "beam": BEAM, "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
