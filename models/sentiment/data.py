"""Labelled sentences: reading the public files, pieces of words, what is held out.

A row has `sentence` or `text`, and `label`: 1 for positive, 0 for negative, or in between,
a teacher's probability that it is positive.
"""

import gzip
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, trainers
from tokenizers.models import BPE, WordPiece

PAD, UNKNOWN = "[PAD]", "[UNK]"
WORDS = 16_000  # words and pieces of words, of English
PIECES, LONGEST_PIECE = 8_000, 4  # of Chinese
HELD_OUT = 10  # one row in ten of a file without a validation set
SHORTENED = (  # "ca n't", "can't", "won’t": the negation becomes a word of its own
    (r"(?i)\bca(n)\s?n['’]t\b", "can not"),
    (r"(?i)\bca n['’]t\b", "can not"),
    (r"(?i)\bcan['’]t\b", "can not"),
    (r"(?i)\bcannot\b", "can not"),
    (r"(?i)\bwo ?n['’]t\b", "will not"),
    (r"(?i)\bsha ?n['’]t\b", "shall not"),
    (r"(?i)\bain['’]t\b", "is not"),
    (r"(?i) ?n['’]t\b", " not"),
)


class Row(NamedTuple):
    """A text and the probability that it is positive."""

    text: str
    label: float


def read_rows(path: Path) -> list[Row]:
    """The rows of a JSON-lines file, gzipped or not."""
    raw = Path(path).read_bytes()
    text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8")
    records = (json.loads(line) for line in text.split("\n") if line.strip())
    return [Row(r.get("sentence", r.get("text")), float(r["label"])) for r in records]


def held_out(row: Row) -> bool:
    """Whether a row belongs to the tenth that no network trains on: by its text alone."""
    return zlib.crc32(row.text.encode("utf-8", "replace")) % HELD_OUT == 0


def make_tokenizer(language: str, texts: list[str], words: Path | None = None) -> Tokenizer:
    """The tokenizer of a new network: English takes the pieces that these texts need most from
    `words`, a WordPiece vocabulary; the pieces of Chinese are learned from the texts."""
    return chinese_tokenizer(texts) if language == "zh" else english_tokenizer(texts, words)


def english_tokenizer(texts: list[str], words: Path, size: int = WORDS) -> Tokenizer:
    """Words, lower-cased; a rare one falls into pieces of a WordPiece vocabulary (Wu et al.
    2016). Short forms are written out first, so that every negation is the word `not`."""
    known = [w for w in words.read_text("utf-8").splitlines() if re.fullmatch(r"(##)?[!-~]+", w) and w[0] != "["]
    known += ["["]
    wide = word_pieces(known)
    count = Counter(id_ for e in wide.encode_batch(texts) for id_ in e.ids)
    letters = [w for w in known if len(w.removeprefix("##")) == 1]
    often = [wide.id_to_token(id_) for id_, _ in count.most_common(size)]
    return word_pieces(list(dict.fromkeys(w for w in letters + often if w not in (PAD, UNKNOWN)))[: size - 2])


def word_pieces(known: list[str]) -> Tokenizer:
    """A tokenizer into these words and pieces."""
    vocabulary = {w: i for i, w in enumerate([PAD, UNKNOWN, *known])}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token=UNKNOWN, max_input_chars_per_word=40))
    shortened = [normalizers.Replace(Regex(pattern), to) for pattern, to in SHORTENED]
    breaks = normalizers.Replace(Regex(r"<br\s*/?>"), " ")
    tokenizer.normalizer = normalizers.Sequence([breaks, *shortened, normalizers.BertNormalizer(lowercase=True)])
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def chinese_tokenizer(texts: Iterable[str], size: int = PIECES) -> Tokenizer:
    """Pieces of one to four characters that stand together often (BPE, Sennrich et al. 2016)."""
    tokenizer = Tokenizer(BPE(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Split(Regex(r"[一-鿿]+|[a-z]+|[0-9]+|."), "isolated"),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=3,
        special_tokens=[PAD, UNKNOWN],
        show_progress=False,
        max_token_length=LONGEST_PIECE,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def split_sentences(text: str) -> list[str]:
    """A text at the ends of its sentences."""
    return [s for s in re.split(r"(?<=[.!?。！？])[\s\"')]*(?=\S)", text) if s.strip()]
