"""Several networks and a bag of character triples teach one network (Hinton et al. 2015).

    python -m models.sentiment.ensemble --data FILE --networks FOLDER … --out taught.jsonl.gz
    python -m models.sentiment.ensemble --data FILE --tokenizer FILE --whole whole.jsonl.gz

For Chinese there is no large teacher, but different readers make different mistakes: their
mean is right more often than each. It labels stretches of the training reviews, from a
clause to the whole, that none of them has learned by heart. For whole reviews, --whole mixes
each label half and half with what a small network and the triples say that were trained on
the other quarters of the data: some labels of this set are slips of the finger.
"""

import argparse
import gzip
import json
import re
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from models.sentiment.data import Row, read_rows
from models.sentiment.network import Network, chance
from models.sentiment.train import Settings, train

COUNT = 220_000  # stretches
FOLDS = 4
SHARP = 3.0  # the networks are too sure of themselves by about this factor


def clauses(text: str) -> list[str]:
    """A text at its marks, each mark with what it ends."""
    return [c for c in re.findall(r"[^，。！？；,!?;\s]+[，。！？；,!?;\s]*", text) if c.strip()]


def stretches(rows: list[Row], count: int, rng: np.random.Generator) -> list[str]:
    """Some clauses in a row of some review; now and then of two."""
    cut = [clauses(row.text) for row in rows]
    cut = [c for c in cut if c]
    out = []
    while len(out) < count:
        parts: list[str] = []
        for i in rng.integers(len(cut), size=1 + (rng.random() < 0.25)):
            a = int(rng.integers(len(cut[i])))
            parts += cut[i][a : a + int(rng.integers(1, 7))]
        out.append("".join(parts)[:300])
    return out


def triples(rows: list[Row], texts: list[str]) -> NDArray[np.float64]:
    """The log-odds of a logistic regression on one to three characters, tf-idf."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    vectors = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=3, sublinear_tf=True)
    model = LogisticRegression(C=10, max_iter=300, solver="liblinear")
    model.fit(vectors.fit_transform([row.text for row in rows]), [int(row.label) for row in rows])
    return model.decision_function(vectors.transform(texts))


def agreed(rows: list[Row], folders: list[Path], texts: list[str]) -> NDArray[np.float64]:
    """The probability of positive: the networks' mean log-odds, and the triples' added."""
    networks = [Network(folder) for folder in folders]
    odds = [n.odds([e.ids for e in n.tokenizer.encode_batch(texts)]) / SHARP for n in networks]
    return chance(np.mean(odds, 0) + 0.5 * triples(rows, texts))


def second_opinions(rows: list[Row], tokenizer: Path, folder: Path) -> list[float]:
    """Each row's label, mixed with what readers say that never saw the row."""
    fold = np.arange(len(rows)) % FOLDS
    labels = np.array([row.label for row in rows])
    for k in range(FOLDS):
        known = [row for row, f in zip(rows, fold, strict=True) if f != k]
        other = [row.text for row, f in zip(rows, fold, strict=True) if f == k]
        write(folder / f"{k}.jsonl.gz", [row.text for row in known], [row.label for row in known])
        config = {"language": "zh", "cell": "gru", "embedding_size": 64, "hidden_size": 96, "weight_dropout": 0.0}
        settings = Settings(epochs=6, average=0.998, piece_dropout=0.1)
        file = str(folder / f"{k}.jsonl.gz")
        train(folder / str(k), [file], [], config, settings, Tokenizer.from_file(str(tokenizer)))
        said = agreed(known, [folder / str(k)], other)
        print(k, float(((said > 0.5) == labels[fold == k]).mean()), flush=True)
        labels[fold == k] = (labels[fold == k] + said) / 2
    return labels.tolist()


def write(path: Path, texts: list[str], labels: list[float]) -> None:
    """Texts with the probability that they are positive."""
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for text, label in zip(texts, labels, strict=True):
            file.write(json.dumps({"text": text, "label": round(label, 4)}, ensure_ascii=False) + "\n")


def main() -> None:
    """Write a gzipped file of taught rows; with --validation only say how good the teachers are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--networks", nargs="*", type=Path, default=[])
    parser.add_argument("--validation", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--whole", type=Path)
    args = parser.parse_args()
    rows = read_rows(args.data)
    if args.validation:
        checks = read_rows(args.validation)
        said = agreed(rows, args.networks, [row.text for row in checks])
        print(json.dumps({"accuracy": float(((said > 0.5) == [row.label for row in checks]).mean())}))
    if args.out:
        texts = stretches(rows, COUNT, np.random.default_rng(3))
        write(args.out, texts, agreed(rows, args.networks, texts).tolist())
    if args.whole:
        with tempfile.TemporaryDirectory() as folder:
            write(args.whole, [row.text for row in rows], second_opinions(rows, args.tokenizer, Path(folder)))


if __name__ == "__main__":
    main()
