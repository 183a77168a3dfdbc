"""Sentences made by rule, for what reviews seldom hold: python -m models.sentiment.made en 20000 FILE [TAUGHT]

Negation, contrast, irony of comparison, short answers and plain facts, about films, food,
goods and places. Words and rules stand in made.en.json and made.zh.json; the label follows
from the rule, and 0.5 is neither praise nor blame. From a file of rows that a teacher was
sure of, as many contrasts again are made: what comes after "but" counts.
"""

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from models.sentiment.data import Row, read_rows


def make(language: str, count: int, seed: int = 1) -> Iterator[tuple[str, float]]:
    """`count` sentences with their labels, as many of praise as of blame."""
    stored = json.loads(Path(__file__).with_name(f"made.{language}.json").read_text("utf-8"))
    lists, patterns = stored["words"], {float(label): rules for label, rules in stored["rules"].items()}
    rng = np.random.default_rng(seed)
    for _ in range(count):
        label = float(rng.choice(list(patterns), p=[0.2, 0.22, 0.2, 0.22, 0.16]))
        text = str(rng.choice(patterns[label]))
        while "{" in text:
            before, _, rest = text.partition("{")
            name, _, after = rest.partition("}")
            text = before + str(rng.choice(lists[name])) + after
        if "不不" in text:
            continue
        yield _varied(text, language, rng), label


BUTS = {
    "en": (
        "{a}, but {b}",
        "although {a}, {b}",
        "{a}; still, {b}",
        "{a} . however , {b}",
        "while {a}, {b}",
        "{a} but {b}",
    ),
    "zh": ("{a}，但是{b}", "虽然{a}，但{b}", "{a}，不过{b}", "{a}，然而{b}", "尽管{a}，还是{b}", "本来{a}，结果{b}"),
}
LONGEST = {"en": 80, "zh": 25}  # characters of each half


def contrasts(rows: list[Row], language: str, count: int, seed: int = 1) -> Iterator[tuple[str, float]]:
    """Praise, a "but", and blame; or the other way round."""
    short = [Row(row.text.strip(" ，。！？；,.!?;"), row.label) for row in rows if len(row.text) <= LONGEST[language]]
    praise, blame = ([row.text for row in short if row.text and sign * (row.label - 0.5) > 0.42] for sign in (1, -1))
    rng = np.random.default_rng(seed)
    for _ in range(count):
        good = bool(rng.random() < 0.5)
        a, b = (half[rng.integers(len(half))] for half in ((blame, praise) if good else (praise, blame)))
        text = str(rng.choice(BUTS[language])).replace("{a}", a).replace("{b}", b)
        yield _varied(text + ("。" if language == "zh" else "."), language, rng), 0.87 if good else 0.1


def _varied(text: str, language: str, rng: np.random.Generator) -> str:
    """As people type: with and without the full stop, in lower case, the negation written out."""
    if rng.random() < 0.4:
        text = text.rstrip(".。!！")
    if language == "en" and rng.random() < 0.6:
        text = text.lower()
    return text


def main() -> None:
    """Write a gzipped file of rows."""
    language, count, path, *taught = sys.argv[1:]
    rows = list(make(language, int(count)))
    if taught:
        rows += contrasts(read_rows(Path(taught[0])), language, int(count))
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for text, label in rows:
            file.write(json.dumps({"text": text, "label": label}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
