"""Many texts at once: from lines or an uploaded file to a table of verdicts."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import models
from demos import sentences
from demos.base import InputError
from demos.limits import LIMITS
from models import device

MOST = LIMITS.texts
BYTES = LIMITS.megabytes * 1_000_000  # of a file
PORTION = 64  # texts that are read at once
LENGTH = 8_000  # characters of them
LONG = 1000  # texts for which a GPU is worth asking for
COLUMNS = ("text", "sentence", "review", "comment", "content", "文本", "句子", "评论", "内容")


def verdicts(texts: Sequence[str], language: str, network: str) -> Iterator[dict[str, Any]]:
    """The verdict on each text, in order; `label` is None where there is nothing to read."""
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise InputError("error.not_texts")
    if len(texts) > MOST:
        raise InputError("error.too_many", limit=MOST, count=len(texts))
    done = 0
    if device.LENT and len(texts) >= LONG:
        with suppress(Exception):  # no GPU is free, or this visitor's share of it is used up
            for rows in lent(list(texts), language, network):
                yield from rows
                done += len(rows)
    for some in portions(texts[done:]):
        yield from portion(some, language, network)


@device.borrowing
def lent(texts: list[str], language: str, network: str) -> Iterator[list[dict[str, Any]]]:
    """The verdicts of a long list, portion by portion, on the GPU that a Space lends for the time of a call."""
    for one in ("en", "zh"):
        models.load(sentences.network_of(one, network)).module.to("cuda")
    for some in portions(texts):
        yield portion(some, language, network)


def portions(texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts in portions, each read in a fraction of a second."""
    some: list[str] = []
    size = 0
    for text in texts:
        some.append(text)
        size += min(len(text), LENGTH)
        if len(some) == PORTION or size >= LENGTH:
            yield some
            some, size = [], 0
    if some:
        yield some


def portion(texts: list[str], language: str, network: str) -> list[dict[str, Any]]:
    """Some texts, each language's in one call of its network."""
    spoken = [sentences.language_of(language, text) for text in texts]
    rows: list[dict[str, Any]] = [{} for _ in texts]
    for one in set(spoken):
        net = models.load(sentences.network_of(one, network))
        chosen = [i for i, language in enumerate(spoken) if language == one]
        cut = [texts[i][: sentences.CHARACTERS] for i in chosen]
        ids = [e.ids[: sentences.MOST] for e in net.tokenizer.encode_batch(cut)]
        for i, row, positive in zip(chosen, ids, sentences.chance_of(net, ids), strict=True):
            rows[i] = record(texts[i], positive, one, len(row))
    return rows


def record(text: str, positive: float, language: str, read: int) -> dict[str, Any]:
    """One text's verdict; without a single letter or digit there is none."""
    if not any(c.isalnum() for c in text):
        return {"text": text, "label": None, "probability": None, "positive": None, "language": language, "read": 0}
    label = "positive" if positive >= 0.5 else "negative"
    sure = max(positive, 1 - positive)
    return {
        "text": text,
        "label": label,
        "probability": round(sure, 4),
        "positive": round(positive, 4),
        "language": language,
        "read": read,
    }


def from_file(path: str) -> list[str]:
    """The texts of a text file, a line each, or of a CSV file: of the column that is named like
    one, else of the one with the longest cells. InputError where it is no text."""
    raw = Path(path).read_bytes()
    if len(raw) > BYTES:
        raise InputError("error.file_too_large", limit=BYTES // 1_000_000)
    text = decoded(raw)
    return from_table(text) if Path(path).suffix.lower() in (".csv", ".tsv") else from_lines(text)


def decoded(raw: bytes) -> str:
    """UTF-8, UTF-16 with its mark, or GB 18030, as Chinese spreadsheets write it."""
    if raw[:4] in (b"PK\x03\x04", b"\xd0\xcf\x11\xe0"):
        raise InputError("error.spreadsheet")
    codecs = ("utf-16",) if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "gb18030")
    for codec in codecs:
        try:
            text = raw.decode(codec)
        except UnicodeDecodeError:
            continue
        if sum(not c.isprintable() and c not in "\r\n\t\x0c" for c in text) <= 0.01 * len(text):
            return text
    raise InputError("error.binary")


def from_lines(text: str) -> list[str]:
    """One text a line, empty lines left out."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def from_table(text: str) -> list[str]:
    """The texts of a table with commas, semicolons or tabs."""
    first = text.split("\n", 1)[0]
    delimiter = Counter({c: first.count(c) for c in ",;\t"}).most_common(1)[0][0]
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if any(row)]
    except csv.Error:
        raise InputError("error.csv") from None
    if not rows:
        return []
    names = [name.strip().lower() for name in rows[0]]
    named = [i for i, name in enumerate(names) if name in COLUMNS]
    at = named[0] if named else longest_column(rows)
    return [row[at].strip() for row in rows[bool(named) :] if at < len(row) and row[at].strip()]


def longest_column(rows: list[list[str]]) -> int:
    """Where the most characters stand."""
    total: Counter[int] = Counter()
    for row in rows[:200]:
        total.update({i: len(cell) for i, cell in enumerate(row)})
    return total.most_common(1)[0][0]


def to_csv(rows: list[dict[str, Any]]) -> str:
    """A table to take home; a cell that a spreadsheet would run as a formula gets a quote in front."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["text", "label", "probability", "positive", "language", "read"])
    for row in rows:
        text = "'" + row["text"] if row["text"][:1] in tuple("=+-@\t\r") else row["text"]
        writer.writerow([text, *(row[key] for key in ("label", "probability", "positive", "language", "read"))])
    return "\ufeff" + out.getvalue()


def distribution(rows: list[dict[str, Any]]) -> list[int]:
    """How many texts have a probability of positive in each tenth."""
    counts = [0] * 10
    for row in rows:
        if row["positive"] is not None:
            counts[min(int(row["positive"] * 10), 9)] += 1
    return counts
