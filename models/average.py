"""Weights between two networks: python -m models.average FROM TO --share 0.7 --out FOLDER

Where one was trained on from the other, the way between them leads through networks that
have some of both (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models").
"""

import argparse
import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file


def average(start: Path, end: Path, share: float, out: Path) -> None:
    """The network that lies `share` of the way from `start` to `end`, in half precision."""
    a, b = (load_file(folder / "model.safetensors") for folder in (start, end))
    weights = {k: ((1 - share) * a[k].float() + share * b[k].float()).half() for k in a}
    out.mkdir(parents=True, exist_ok=True)
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(end / name, out / name)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("start", type=Path)
    parser.add_argument("end", type=Path)
    parser.add_argument("--share", type=float, default=0.5)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    average(args.start, args.end, args.share, args.out)


if __name__ == "__main__":
    main()
