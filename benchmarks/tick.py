"""How quick is a tick? python -m benchmarks.tick [NETWORK]

One stream reads every weight once a character, so memory sets the limit: the bytes of the
weights over the bandwidth, which is that of the quickest plain read of as many bytes found
here (torch's sum, or one product of a matrix and a vector). Everything is timed in turn,
round by round in this one run, and the medians are compared. The last line is one JSON
object.
"""

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

import models
from demos import many_to_many
from models.charlm.network import Network

ROUNDS = 15
STEPS = 200


def seconds(work: Callable[[], object], times: int) -> float:
    """Mean seconds of one call, once the threads of what ran before have gone to sleep."""
    for _ in range(times):
        work()
    start = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times


def fast_tick(network: Network) -> Callable[[], object]:
    """The tick of the product."""
    state = network.zero()

    def work() -> None:
        nonlocal state
        state = network.tick([5], state).state

    return work


def fused_tick(network: Network) -> Callable[[], object]:
    """`nn.LSTM` called with T = 1, and the head."""
    state, ids = None, torch.tensor([[5]])

    def work() -> None:
        nonlocal state
        state = network.module.cpu()(ids, state).state

    return work


def cell_tick(network: Network) -> Callable[[], object]:
    """`nn.LSTMCell` for every layer, and the head."""
    module, cells = network.module.cpu(), []
    for layer in module.layers:
        cell = torch.nn.LSTMCell(layer.cell.input_size, layer.cell.hidden_size)
        cell.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.cell.state_dict().items()})
        cells.append(cell)
    states, ids = [None] * len(cells), torch.tensor([5])

    def work() -> None:
        x = module.embedding(ids)
        for i, cell in enumerate(cells):
            states[i] = cell(x, states[i])
            x = states[i][0]
        module.head(module.project(x))

    return work


def whole_stream(name: str) -> Callable[[], object]:
    """The product's generator: tick, temperature, candidates and all that a Step holds."""
    stream = itertools.chain.from_iterable(
        many_to_many.steps("First Citizen:\n", name, length=10_000, seed=n) for n in itertools.count()
    )
    return lambda: next(stream)


@torch.inference_mode()
def main() -> None:
    """Print the speeds and what they mean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("network", nargs="?", default="shakespeare")
    network = models.load(f"charlm/{parser.parse_args().network}")
    layers = [layer.weights.weights for layer in network.layers]
    read = sum(w.nbytes for w in layers) + network.head.weights.nbytes
    matrix, vector = np.ones((read // 4096, 1024), np.float32), np.ones(1024, np.float32)
    timed = {
        "sum": torch.from_numpy(matrix).sum,
        "product": lambda: np.dot(matrix, vector),
        "tick": fast_tick(network),
        "stream": whole_stream(network.folder.name),
        "lstm_cell": cell_tick(network),
        "fused_t1": fused_tick(network),
    }
    rounds = {name: [] for name in timed}
    for _ in range(ROUNDS):
        for name, work in timed.items():
            rounds[name].append(seconds(work, STEPS if name != "fused_t1" else STEPS // 10))
    median = {name: statistics.median(values) for name, values in rounds.items()}
    memory = min(median["sum"], median["product"]) * read / matrix.nbytes
    print(
        json.dumps(
            {
                "megabytes_per_step": read / 1e6,
                "gigabytes_per_second": read / memory / 1e9,
                "ticks_per_second": 1 / median["tick"],
                "share_of_memory_limit": memory / median["tick"],
                "stream_share_of_memory_limit": memory / median["stream"],
                "times_lstm_cell": median["lstm_cell"] / median["tick"],
                "times_fused_t1": median["fused_t1"] / median["tick"],
                "threads": torch.get_num_threads(),
            }
        )
    )


if __name__ == "__main__":
    main()
