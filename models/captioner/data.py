"""Photos and captions: a photo as the network sees it, captions as tokens, the two files of Flickr8k.

The photos of the training set were squashed to 224 × 224, not cropped, so every photo is:
one treated in another way looks like nothing that the network knows, and all of them alike.
"""

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from tokenizers import Regex, Tokenizer, normalizers
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split

SIZE = 224  # pixels a side
LANGUAGES = ("en", "zh")
STARTS = {"en": "[en]", "zh": "[zh]"}
END, UNKNOWN = "[end]", "[unknown]"
SPECIAL = (END, UNKNOWN, *STARTS.values())
WORD = r"[a-z0-9]+(?:'[a-z]+)?|[\u3400-\u9fff]"


@dataclass(frozen=True)
class Row:
    """One photo with its captions in both languages."""

    image: Path
    captions: dict[str, list[str]]


def read_rows(path: Path) -> list[Row]:
    """JSON lines, gzipped or not, with the photos in `images/` beside the file."""
    raw = Path(path).read_bytes()
    text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8")
    found = [json.loads(line) for line in text.splitlines() if line.strip()]
    folder = Path(path).parent / "images"
    return [Row(folder / r["image"], {lang: r[lang] for lang in LANGUAGES if lang in r}) for r in found]


def squash(image: Image.Image) -> NDArray[np.uint8]:
    """Any picture as the network sees it: upright, in colour, on white, (224, 224, 3)."""
    image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;"):  # 16 bits and more: to the range that it uses
        values = np.asarray(image, np.float64)
        low, high = float(values.min()), float(values.max())
        image = Image.fromarray(np.uint8(255 * (values - low) / max(high - low, 1)))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.asarray(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC, reducing_gap=3.0))


def words_of(caption: str) -> list[str]:
    """A caption as words in small letters, Chinese as single characters, without punctuation."""
    return re.findall(WORD, caption.lower())


def written(words: Sequence[str], language: str) -> str:
    """Words as a visitor reads them."""
    return "".join(words) if language == "zh" else " ".join(words)


def make_tokenizer(rows: Iterable[Row], seen: dict[str, int]) -> Tokenizer:
    """One token a word or Chinese character; what was seen less often than `seen[language]` is unknown."""
    known = list(SPECIAL)
    for language in LANGUAGES:
        count = Counter(w for row in rows for c in row.captions[language] for w in words_of(c))
        known += [w for w, n in count.most_common() if n >= seen[language] and w not in known]
    tokenizer = Tokenizer(WordLevel({w: i for i, w in enumerate(known)}, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = Split(Regex(WORD), "removed", invert=True)
    return tokenizer
