"""How many sentences a second? python -m benchmarks.sentiment [NETWORK]

The network on the page against a transformer of DistilBERT's shape (six layers of 768, random
weights: the speed is the same), both with one sentence at a time, the same sentences, the same
threads, in turn, round by round in this one run. Words become tokens beforehand for both. The
last line is one JSON object.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from transformers import DistilBertConfig, DistilBertForSequenceClassification

import models
from models.sentiment.network import Network

ROUNDS = 9
SENTENCES = (
    "Not a single dull moment.",
    "The jokes are old, the plot is silly, and I have never laughed so much.",
    "It used to be the best restaurant in town, but now the food is bland and the waiters are rude.",
    "The battery lasts two days, the screen is bright, and it has not let me down once.",
    "A slow, handsome film whose ending stays with you for a week.",
    "I wanted to like this album, but after three songs I had heard all of it.",
)


def rate(read: Callable[[list[int]], object], rows: list[list[int]]) -> float:
    """Sentences a second, one at a time."""
    start = time.perf_counter()
    for row in rows:
        read(row)
    return len(rows) / (time.perf_counter() - start)


def transformer() -> Callable[[list[int]], object]:
    """A DistilBERT with random weights."""
    net = DistilBertForSequenceClassification(DistilBertConfig()).eval()

    def read(ids: list[int]) -> object:
        with torch.inference_mode():
            return net(torch.tensor([ids])).logits

    return read


def recurrent(network: Network) -> Callable[[list[int]], object]:
    """Ours, as the page and the API call it."""
    return lambda ids: network.odds([ids])


def main() -> None:
    """Time both in turn and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("network", nargs="?", default="en")
    network = models.load(f"sentiment/{parser.parse_args().network}")
    rows = [e.ids for e in network.tokenizer.encode_batch(list(SENTENCES))] * 10
    readers = {"network": recurrent(network), "transformer": transformer()}
    rates: dict[str, list[float]] = {name: [] for name in readers}
    for name, read in [*readers.items()] * (ROUNDS + 1):
        rates[name].append(rate(read, rows))
    ratios = [a / b for a, b in zip(rates["network"][1:], rates["transformer"][1:], strict=True)]
    out = {f"{name}_sentences_per_second": statistics.median(values[1:]) for name, values in rates.items()}
    out |= {"times_transformer": statistics.median(ratios), "tokens": sum(map(len, rows)) / len(rows)}
    print(json.dumps(out | {"threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
