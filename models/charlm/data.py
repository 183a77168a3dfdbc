"""The three corpora as characters: reading the public files, tidying, token ids.

Every function here is pure Python, so that evaluating needs no package that training
needs. Traditional characters become simplified by a table of single characters that
training makes with OpenCC and that ships beside the weights (`variants.json`).
"""

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split

UNKNOWN = "\ufffd"
END = "[完]"
OTHER = "[其他]"
FORMS = {"[五绝]": (4, 5), "[五律]": (8, 5), "[七绝]": (4, 7), "[七律]": (8, 7)}  # lines, characters
BREAKS = "，。？！；"


@dataclass(frozen=True)
class Corpus:
    """How a network's text is cut: `held_out` is the share at the end that validates."""

    name: str
    held_out: float
    poems: bool = False


CORPORA = {
    "shakespeare": Corpus("shakespeare", 0.10),
    "hongloumeng": Corpus("hongloumeng", 0.05),
    "tang": Corpus("tang", 0.0, poems=True),
}


def read_text(path: Path) -> str:
    """The text of a file, gzipped or not, UTF-8."""
    raw = Path(path).read_bytes()
    return (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8")


def read_book(path: Path, corpus: str) -> str:
    """The text of a book, tidied where its public file needs it."""
    text = read_text(path)
    return tidy_novel(text) if corpus == "hongloumeng" else text


def split(text: str, corpus: str) -> tuple[str, str]:
    """What trains and what validates: the last `held_out` of the characters."""
    at = int(len(text) * (1 - CORPORA[corpus].held_out))
    return text[:at], text[at:]


def read_poems(path: Path) -> list[str]:
    """Poems from JSON lines or a JSON list with `paragraphs`; one couplet a line."""
    text = read_text(path).strip()
    rows = json.loads(text) if text.startswith("[") else map(json.loads, text.split("\n"))
    return ["\n".join(row["paragraphs"]) for row in rows if row["paragraphs"]]


def tidy_novel(text: str) -> str:
    """One style of punctuation: the public file mixes full stops, quotes and stray bytes."""
    text = text.replace("\r", "").translate(str.maketrans("．.,?!:;", "。。，？！：；")).replace("\t", "")
    text = re.sub(r"[`‘]([^`‘’\-\n]*)[-’]", r"‘\1’", text)
    text = re.sub(r"[ \u3000]*\n[ \u3000\n]*", "\n", text)
    text = re.sub(r"[ \u3000]+", "　", text)
    text = re.sub(r"[^一-鿿，。：“”？！；、‘’《》—…　\n\"]", "", text)
    return "\n".join(_pair_quotes(line) for line in text.strip().split("\n")) + "\n"


def _pair_quotes(line: str) -> str:
    """Straight quotes become “ or ”, whichever is due; the file often closes “ with \"."""
    out, inside = [], False
    for c in line:
        if c == '"':
            c = "”" if inside else "“"
        inside = c == "“" or (inside and c != "”")
        out.append(c)
    return "".join(out)


def form_of(poem: str) -> str:
    """The prefix token of a poem: one of FORMS, or OTHER.

    >>> form_of("白日依山尽，黄河入海流。\\n欲穷千里目，更上一层楼。")
    '[五绝]'
    """
    for token, (lines, length) in FORMS.items():
        if has_form(poem, lines, length):
            return token
    return OTHER


def has_form(poem: str, lines: int, length: int) -> bool:
    """Whether a poem has exactly `lines` lines of `length` characters, two a couplet."""
    line = f"[一-鿿㐀-䶿]{{{length}}}"
    couplet = f"{line}[{BREAKS}]{line}[{BREAKS}]"
    return re.fullmatch(rf"{couplet}(\n{couplet}){{{lines // 2 - 1}}}\n?", poem) is not None


def make_tokenizer(texts: Iterable[str], special: Iterable[str] = (), at_least: int = 1) -> Tokenizer:
    """One token a character; rarer ones than `at_least` share the token UNKNOWN."""
    counts = Counter(c for text in texts for c in text)
    known = sorted(c for c, n in counts.items() if n >= at_least and c != UNKNOWN)
    vocab = {token: i for i, token in enumerate([UNKNOWN, *special, *known])}
    tokenizer = Tokenizer(WordLevel(vocab, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = Split(Regex(r"[\s\S]"), "isolated")
    return tokenizer


def load_variants(folder: Path) -> dict[int, str]:
    """The network's table of characters to replace, ready for `str.translate`."""
    return str.maketrans(json.loads((Path(folder) / "variants.json").read_text("utf-8")))


def poem_ids(poem: str, tokenizer: Tokenizer) -> list[int]:
    """Token ids of a poem with its form before it and the end after it."""
    form, end = tokenizer.token_to_id(form_of(poem)), tokenizer.token_to_id(END)
    return [form, *tokenizer.encode(poem).ids, end]
