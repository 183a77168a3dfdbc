"""Score a captioner: python -m models.captioner.evaluate flickr8k --data FILE [--lang zh] [--beam 3]

FILE has JSON lines, gzipped or not, with `image` and the captions `en` and `zh`; the photos lie
in `images/` beside it. The last line printed is one JSON object. BLEU and CIDEr-D are those of
pycocoevalcap on small letters without punctuation, Chinese character by character.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from models.captioner.data import LANGUAGES, Row, read_rows, squash, words_of, written
from models.captioner.network import Network
from models.captioner.scores import Cider, bleu
from models.captioner.search import ALPHA, caption
from models.tick import Array

HERE = Path(__file__).parent
BATCH = 64  # photos in memory at once


def encodings_of(network: Network, rows: list[Row]) -> Array:
    """Every photo's encoding (N, D)."""
    out = []
    for at in tqdm(range(0, len(rows), BATCH), "photos", mininterval=10):
        photos = []
        for row in rows[at : at + BATCH]:
            with Image.open(row.image) as image:
                photos.append(squash(image))
        out.append(network.encode(np.stack(photos)))
    return np.concatenate(out)


def scores_of(captions: list[list[str]], rows: list[Row], language: str) -> dict[str, float]:
    """BLEU, CIDEr, and how much the captions differ."""
    wanted = [[words_of(c) for c in row.captions[language]] for row in rows]
    out = {f"bleu{n}": round(value, 2) for n, value in enumerate(bleu(captions, wanted), 1)}
    cider = Cider(wanted)
    out["cider"] = round(cider.mean(captions), 2)
    out["cider_swapped"] = round(cider.mean([*captions[1:], *captions[:1]]), 2)  # each with another's caption
    out["distinct_captions"] = round(len({tuple(c) for c in captions}) / len(captions), 4)
    return out | {"words": len({w for c in captions for w in c})}


def evaluate(
    folder: Path, data: Path, language: str, beam: int, alpha: float = ALPHA, training: Path | None = None
) -> dict[str, float | int | str]:
    """The figures of a network on the photos of a file; with `training`, also the share of
    captions that stand word for word among those it learned from."""
    start = time.perf_counter()
    network, rows = Network(folder), read_rows(data)
    encodings = encodings_of(network, rows)
    captions = [caption(network, e, language, beam, alpha) for e in tqdm(encodings, "captions", mininterval=10)]
    out = {"language": language, "beam": beam, **scores_of(captions, rows, language)}
    if training is not None:
        learned = {written(words_of(c), language) for row in read_rows(training) for c in row.captions[language]}
        out["copied"] = round(float(np.mean([written(c, language) in learned for c in captions])), 4)
    seconds = round(time.perf_counter() - start, 2)
    return out | {"rows": len(rows), "seconds": seconds, "device": str(network.module.device)}


def save(folder: Path, score: dict[str, float | int | str]) -> None:
    """Keep a language's scores beside the weights, and write the card's table anew."""
    path = folder / "scores.json"
    stored = json.loads(path.read_text("utf-8")) if path.exists() else {}
    stored["parameters"] = Network(folder).parameters
    stored[score["language"]] = {k: v for k, v in score.items() if k not in ("language", "seconds", "device")}
    path.write_text(json.dumps(stored, indent=2, sort_keys=True) + "\n", "utf-8")
    card = HERE / "README.md"
    before, _, rest = card.read_text("utf-8").partition("<!-- scores -->\n")
    card.write_text(f"{before}<!-- scores -->\n{table()}\n{rest[rest.index('<!-- end of scores') :]}", "utf-8")


def table() -> str:
    """All scores as the card shows them."""
    columns = ("bleu1", "bleu2", "bleu3", "bleu4", "cider", "cider_swapped")
    rows = [
        "| network | language | BLEU-1 | BLEU-2 | BLEU-3 | BLEU-4 | CIDEr | swapped | words | distinct | copied |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for path in sorted(HERE.glob("*/scores.json")):
        stored = json.loads(path.read_text("utf-8"))
        for language in (name for name in LANGUAGES if name in stored):
            s = stored[language]
            figures = " | ".join(f"{s[name]:.1f}" for name in columns)
            shares = f"{s['words']} | {s['distinct_captions']:.0%} | {s['copied']:.0%}"
            rows.append(f"| `{path.parent.name}` | {language} | {figures} | {shares} |")
    return "\n".join(rows)


def main() -> None:
    """NETWORK is a folder's name beside this file, or a path to one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("network")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--lang", choices=LANGUAGES, default="en")
    parser.add_argument("--beam", type=int, default=3)
    parser.add_argument("--alpha", type=float, default=ALPHA, help="the power of the length that normalises")
    parser.add_argument("--training", type=Path, help="the training file, to count copied captions")
    parser.add_argument("--save", action="store_true", help="write scores.json and the model card's table")
    args = parser.parse_args()
    ours = HERE / args.network
    folder = ours if ours.exists() else Path(args.network)
    score = evaluate(folder, args.data, args.lang, args.beam, args.alpha, args.training)
    if args.save:
        save(folder, score)
    print(json.dumps(score))


if __name__ == "__main__":
    main()
