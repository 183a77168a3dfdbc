"""A bag of words, the honest baseline: it knows which words there are, and nothing of their order.

    python -m models.sentiment.bag NETWORK --data FILE … --validation FILE

Logistic regression on the tokens of NETWORK's tokenizer, tf-idf, is kept in its folder as
`bag.safetensors` and stands beside the network's verdict on the page. The same with pairs of
tokens, or of characters for Chinese, is only measured. The last line is one JSON object.
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

FILE = "bag.safetensors"
HERE = Path(__file__).parent


class Bag:
    """The trained bag of words that lies in a network's folder."""

    def __init__(self, folder: Path) -> None:
        stored = load_file(Path(folder) / FILE)
        self.idf, self.weight, self.bias = stored["idf"], stored["weight"], float(stored["bias"][0])

    def odds(self, ids: Iterable[int]) -> NDArray[np.float64]:
        """The log-odds (T,) of positive after each token; the last is the whole text's."""
        counts: dict[int, int] = {}
        total, square, out = 0.0, 0.0, []
        for id_ in ids:
            idf, count = float(self.idf[id_]), counts.get(id_, 0)
            counts[id_] = count + 1
            total += idf * float(self.weight[id_])
            square += idf**2 * (2 * count + 1)  # (count + 1)² - count²
            out.append(self.bias + total / max(square, 1e-12) ** 0.5)
        return np.array(out)


def fit(tokenizer: Tokenizer, texts: list[str], labels: list[int]) -> dict[str, NDArray]:
    """Train on token counts, scaled by how rare a token is, each text at length one."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    vocabulary = {str(i): i for i in range(tokenizer.get_vocab_size())}
    vectors = TfidfVectorizer(analyzer=str.split, vocabulary=vocabulary)
    matrix = vectors.fit_transform(as_ids(tokenizer, texts))
    model = LogisticRegression(C=10, max_iter=1000).fit(matrix, labels)
    return {
        "idf": vectors.idf_.astype(np.float32),
        "weight": model.coef_[0].astype(np.float32),
        "bias": model.intercept_.astype(np.float32),
    }


def as_ids(tokenizer: Tokenizer, texts: list[str]) -> list[str]:
    """Each text as its token ids with spaces between."""
    return [" ".join(map(str, e.ids)) for e in tokenizer.encode_batch(texts)]


def pairs(language: str, texts: list[str], labels: list[int], tests: list[list[str]]) -> list[NDArray]:
    """What the stronger baseline says: words and pairs of words, or characters and pairs of them."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    analyzer = "char" if language == "zh" else "word"
    vectors = TfidfVectorizer(analyzer=analyzer, ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    model = LogisticRegression(C=10, max_iter=1000).fit(vectors.fit_transform(texts), labels)
    return [model.predict(vectors.transform(test)) for test in tests]


def main() -> None:
    """Train the bag, keep it, and print what both baselines reach on each validation file."""
    from models.sentiment.data import held_out, read_rows
    from models.sentiment.evaluate import write

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("network")
    parser.add_argument("--data", nargs="+", type=Path, required=True)
    parser.add_argument("--validation", nargs="+", type=Path, required=True)
    args = parser.parse_args()
    folder = HERE / args.network if (HERE / args.network).exists() else Path(args.network)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    rows = [r for path in args.data for r in read_rows(path) if "imdb" not in str(path) or not held_out(r)]
    checks = [[r for r in read_rows(path) if "imdb" not in str(path) or held_out(r)] for path in args.validation]
    texts, labels = [r.text for r in rows], [int(r.label) for r in rows]
    save_file(fit(tokenizer, texts, labels), folder / FILE)
    bag, out = Bag(folder), {}
    said = pairs(config["language"], texts, labels, [[r.text for r in check] for check in checks])
    for path, check, pair in zip(args.validation, checks, said, strict=True):
        truth = np.array([int(r.label) for r in check])
        single = [bool(len(ids) and bag.odds(ids)[-1] > 0) for ids in (tokenizer.encode(r.text).ids for r in check)]
        out[path.parent.name] = {"words": float((single == truth).mean()), "pairs": float((pair == truth).mean())}
    (folder / "bag.json").write_text(json.dumps(out, indent=2, sort_keys=True) + "\n", "utf-8")
    if folder.parent == HERE:
        write("bags", table())
    print(json.dumps(out))


def table() -> str:
    """What the baselines of all languages reach, as the card shows it."""
    rows = ["| beside | file | single tokens | and pairs |", "|---|---|--:|--:|"]
    for path in sorted(HERE.glob("*/bag.json")):
        for name, s in sorted(json.loads(path.read_text("utf-8")).items()):
            rows.append(f"| `{path.parent.name}` | {name} | {s['words']:.2%} | {s['pairs']:.2%} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
