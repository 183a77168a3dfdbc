"""Make the probabilities honest: python -m models.sentiment.calibrate NETWORK --data FILE [FILE …]

Finds the temperature at which the labels of all files are likeliest, each file weighing the
same (Guo et al. 2017), and writes it into the network's config.json. It turns no verdict.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.sentiment.data import held_out, read_rows
from models.sentiment.network import Network

HERE = Path(__file__).parent
GRID = np.geomspace(0.3, 5, 200)


def nats(logits: NDArray[np.float32], label: NDArray[np.bool_], temperature: float) -> float:
    """Mean cross-entropy of the labels at a temperature."""
    odds = (logits[:, 1] - logits[:, 0]).astype(np.float64) / temperature
    return float(np.logaddexp(0, np.where(label, -odds, odds)).mean())


def best_temperature(files: list[tuple[NDArray[np.float32], NDArray[np.bool_]]]) -> float:
    """The temperature with the least cross-entropy, by a search over a fine grid."""
    return float(min(GRID, key=lambda t: sum(nats(*file, t) for file in files)))


def main() -> None:
    """Score each file once, then search; of a file of IMDB only the held-out tenth is read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("network")
    parser.add_argument("--data", nargs="+", type=Path, required=True)
    args = parser.parse_args()
    folder = HERE / args.network if (HERE / args.network).exists() else Path(args.network)
    network, files = Network(folder), []
    for path in args.data:
        rows = [r for r in read_rows(path) if "imdb" not in str(path) or held_out(r)]
        ids = [e.ids for e in network.tokenizer.encode_batch([r.text for r in rows])]
        files.append((network.logits(ids), np.array([r.label >= 0.5 for r in rows])))
    config = network.config | {"temperature": round(best_temperature(files), 4)}
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")
    print(json.dumps({"temperature": config["temperature"]}))


if __name__ == "__main__":
    main()
