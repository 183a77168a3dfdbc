"""Score a sentiment network: python -m models.sentiment.evaluate NETWORK --data FILE

FILE has JSON lines, gzipped or not, with `sentence` or `text`, and `label` (1 = positive).
The last line is one JSON object. `--held-out` scores only the tenth of a file that no
network was trained on. `--save` keeps the result for the page and the card.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.sentiment.data import held_out, read_rows
from models.sentiment.network import Network, chance

BINS = 10  # of the calibration error
HERE = Path(__file__).parent


def calibration_error(chance: NDArray[np.float64], label: NDArray[np.int64]) -> float:
    """Expected calibration error: how far confidence and accuracy are apart, mean over BINS."""
    confidence, right = np.maximum(chance, 1 - chance), (chance >= 0.5) == label
    bins = np.minimum(((confidence - 0.5) * 2 * BINS).astype(int), BINS - 1)
    gaps = [abs(confidence[bins == b].sum() - right[bins == b].sum()) for b in range(BINS)]
    return float(sum(gaps) / len(chance))


def scores(chance: NDArray[np.float64], label: NDArray[np.int64]) -> dict[str, float | int]:
    """Accuracy, F1 of the positive class, and calibration error."""
    said = (chance >= 0.5).astype(int)
    hits = int((said & label).sum())
    return {
        "accuracy": float((said == label).mean()),
        "f1": 2 * hits / max(1, int(said.sum() + label.sum())),
        "calibration_error": calibration_error(chance, label),
        "rows": len(label),
    }


def evaluate(folder: Path, data: Path, only_held_out: bool = False) -> dict[str, float | int | str]:
    """The scores of the network in `folder` on the file `data`."""
    start, network = time.perf_counter(), Network(folder)
    rows = [row for row in read_rows(data) if not only_held_out or held_out(row)]
    label = np.array([int(row.label >= 0.5) for row in rows])
    ids = [e.ids for e in network.tokenizer.encode_batch([row.text for row in rows])]
    said = chance(network.odds(ids))
    seconds = time.perf_counter() - start
    return {**scores(said, label), "seconds": seconds, "device": str(network.module.device)}


def save(folder: Path, name: str, score: dict[str, float | int | str]) -> None:
    """Keep a file's score in scores.json, and write the card's table anew."""
    path = folder / "scores.json"
    stored = json.loads(path.read_text("utf-8")) if path.exists() else {"files": {}}
    network = Network(folder)
    stored |= {"parameters": network.parameters, "cell": network.config["cell"]}
    stored["files"][name] = {k: score[k] for k in ("accuracy", "f1", "calibration_error", "rows")}
    path.write_text(json.dumps(stored, indent=2, sort_keys=True) + "\n", "utf-8")
    write("scores", table())


def table() -> str:
    """All scores as the card shows them."""
    rows = [
        "| network | parameters | file | rows | accuracy | F1 | calibration error |",
        "|---|--:|---|--:|--:|--:|--:|",
    ]
    for path in sorted(HERE.glob("*/scores.json")):
        stored = json.loads(path.read_text("utf-8"))
        for name, s in sorted(stored["files"].items()):
            figures = f"{s['accuracy']:.2%} | {s['f1']:.2%} | {s['calibration_error']:.2%}"
            rows.append(f"| `{path.parent.name}` | {stored['parameters']:,} | {name} | {s['rows']:,} | {figures} |")
    return "\n".join(rows)


def write(mark: str, rows: str) -> None:
    """Put a table between two marks of the card."""
    card = HERE / "README.md"
    before, _, rest = card.read_text("utf-8").partition(f"<!-- {mark} -->\n")
    after = rest.partition(f"<!-- end of {mark} -->")[2]
    card.write_text(f"{before}<!-- {mark} -->\n{rows}\n<!-- end of {mark} -->{after}", "utf-8")


def main() -> None:
    """NETWORK is a folder's name beside this file, or a path to one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("network")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument(
        "--save", metavar="NAME", help="keep the scores under this name, in scores.json and on the card"
    )
    args = parser.parse_args()
    ours = HERE / args.network
    folder = ours if ours.exists() else Path(args.network)
    score = evaluate(folder, args.data, args.held_out)
    if args.save:
        save(folder, args.save, score)
    print(json.dumps(score))


if __name__ == "__main__":
    main()
