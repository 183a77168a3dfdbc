"""Measure what ordinary photos look like to a captioner:

    python -m models.captioner.familiar flickr8k --data TRAIN --validation OTHERS

The encodings of the training photos are gathered into a few kinds. How far a photo lies from
the nearest kind tells how strange it is, and photos that were not trained on say which
distances are ordinary. Distances are Hellinger's, between the shares that the features have in
an encoding: what is no photo at all excites other features than photos do, and few of them.
The mean encoding is the mean photo, with which the demo compares every other one.
"""

import argparse
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from models.captioner.data import read_rows
from models.captioner.evaluate import HERE, encodings_of
from models.captioner.network import LEAST, Familiar, Network, unit_roots
from models.tick import Array

KINDS = 64
ROUNDS = 12


def kinds_of(training: Array) -> Array:
    """The middles (K, D) of the kinds, by k-means on unit vectors (Dhillon & Modha 2001)."""
    roots = unit_roots(training)
    rng = np.random.default_rng(1)
    middles = roots[rng.choice(len(roots), min(KINDS, len(roots)), replace=False)]
    for _ in range(ROUNDS):
        nearest = (roots @ middles.T).argmax(1)
        for kind in np.unique(nearest):
            middles[kind] = roots[nearest == kind].mean(0)
        middles /= np.linalg.norm(middles, axis=1, keepdims=True)
    return middles.astype(np.float16).astype(np.float32)  # as they will be stored


def measured(training: Array, others: Array) -> Familiar:
    """The kinds of the training encodings (N, D), and how far the others (M, D) lie from them."""
    cloud = Familiar(training.mean(0), kinds_of(training), np.zeros(1, np.float32), LEAST)
    return cloud._replace(known=np.sort(cloud.distance(others)).astype(np.float32))


def stored(cloud: Familiar) -> dict[str, Array]:
    """What is kept beside the weights."""
    return {"mean": cloud.mean, "kinds": cloud.kinds.astype(np.float16), "known": cloud.known}


def main() -> None:
    """NETWORK is a folder's name beside this file, or a path to one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("network")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--validation", type=Path, required=True)
    args = parser.parse_args()
    folder = HERE / args.network if (HERE / args.network).exists() else Path(args.network)
    network = Network(folder)
    cloud = measured(*(encodings_of(network, read_rows(path)) for path in (args.data, args.validation)))
    save_file(stored(cloud), folder / "familiar.safetensors")
    print(f"distances of {len(cloud.known)} other photos: {np.quantile(cloud.known, [0, 0.5, 0.99, 1]).round(4)}")


if __name__ == "__main__":
    main()
