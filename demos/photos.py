"""Photos as visitors bring them: opened safely, squashed, and carried as a short string.

A photo travels as `data:image/jpeg;base64,…` of 224 × 224 pixels, exactly what the network sees,
or as the name of an example. So a run can be done again from its inputs alone, on any machine,
and no upload needs to be kept.
"""

import base64
import binascii
import io
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from demos.base import InputError
from demos.limits import LIMITS
from models.captioner.data import SIZE, squash

FOLDER = Path(__file__).parent / "examples" / "photos"
PREFIX = "data:image/jpeg;base64,"
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
BYTES = LIMITS.megabytes * 1_000_000  # of a file
PIXELS = LIMITS.megapixels * 1_000_000  # of a picture
SMALL = 32  # pixels a side, below which there is little to see
QUALITY = 92  # of the JPEG that travels
OTHER_FORMATS = {  # what people take for pictures, by how its file begins
    b"%PDF": "PDF",
    b"PK\x03\x04": "ZIP, DOCX, PPTX",
    b"\xff\x0a": "JPEG XL",
    b"8BPS": "PSD",
}

Pixels = NDArray[np.uint8]


class Photo(str):
    """A photo as a data URL, and what its visitor should know of it, as keys of demos/text."""

    hints: tuple[str, ...] = ()


def examples() -> list[str]:
    """The names of the photos that come with the gallery."""
    return sorted(path.stem for path in FOLDER.glob("*.jpg"))


def opened(raw: bytes) -> Photo:
    """A picture's file as the network will see it; InputError where it is none that we open."""
    if len(raw) > BYTES:
        raise InputError("error.photo.file_too_large", limit=BYTES // 1_000_000)
    try:
        with Image.open(io.BytesIO(raw), formats=FORMATS) as image:
            if image.width * image.height > PIXELS:
                raise too_many(image.width, image.height)
            image.draft("RGB", (2 * SIZE, 2 * SIZE))  # a JPEG needs no more decoding than that
            pixels = squash(image)
            hints = [*(["hint.photo.animated"] if getattr(image, "n_frames", 1) > 1 else [])]
            hints += ["hint.photo.small"] if min(image.size) < SMALL else []
    except InputError:
        raise
    except Image.DecompressionBombError:
        raise InputError("error.photo.pixels", limit=PIXELS // 1_000_000) from None
    except UnidentifiedImageError:
        raise unknown(raw) from None
    except (OSError, ValueError, SyntaxError, LookupError, TypeError, ArithmeticError, RuntimeError, MemoryError):
        raise InputError("error.photo.broken") from None  # Pillow fails in as many ways as there are formats
    photo = Photo(packed(pixels))
    photo.hints = tuple(hints)
    return photo


def too_many(width: int, height: int) -> InputError:
    """More pixels than are decoded."""
    return InputError("error.photo.size", width=width, height=height, limit=PIXELS // 1_000_000)


def unknown(raw: bytes) -> InputError:
    """What this file is, where one can tell."""
    if not raw:
        return InputError("error.photo.empty")
    head = raw[:1000].lstrip()
    if b"<svg" in head:
        return InputError("error.photo.kind", kind="SVG")
    if raw[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1"):
        return InputError("error.photo.kind", kind="HEIC")
    kind = next((kind for start, kind in OTHER_FORMATS.items() if raw.startswith(start)), None)
    return InputError("error.photo.kind", kind=kind) if kind else InputError("error.photo.none")


def packed(pixels: Pixels) -> str:
    """Pixels (224, 224, 3) as a data URL."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY)
    return PREFIX + base64.b64encode(file.getvalue()).decode()


def checked(value: object) -> Photo:
    """A photo that came over the wire: a data URL of any picture, or the name of an example."""
    if isinstance(value, Photo):
        return value
    if not isinstance(value, str):
        raise InputError("error.photo.none")
    if value in examples():
        return Photo(value)
    if not value.startswith("data:image/") or len(value) > 2 * BYTES:
        raise InputError("error.photo.name" if len(value) < 100 else "error.photo.none")
    try:
        raw = base64.b64decode(value.partition(",")[2], validate=True)
    except (binascii.Error, ValueError):
        raise InputError("error.photo.broken") from None
    return Photo(value) if value.startswith(PREFIX) and ready(raw) else opened(raw)


def from_file(path: str | Path) -> Photo:
    """A picture's file; an example is known by its content."""
    if Path(path).stat().st_size > BYTES:
        raise InputError("error.photo.file_too_large", limit=BYTES // 1_000_000)
    raw = Path(path).read_bytes()
    name = contents().get(sha256(raw).digest())
    return Photo(name) if name else opened(raw)


@cache
def contents() -> dict[bytes, str]:
    """The examples by the hash of their files."""
    return {sha256(path.read_bytes()).digest(): path.stem for path in FOLDER.glob("*.jpg")}


def ready(raw: bytes) -> bool:
    """Whether this file is one of our own: nothing needs to be done to it."""
    try:
        with Image.open(io.BytesIO(raw), formats=("JPEG",)) as image:
            fits = image.size == (SIZE, SIZE) and image.mode == "RGB" and not image.getexif()
            image.load()
            return fits and len(raw) < 200_000
    except (OSError, ValueError, SyntaxError):
        return False


@lru_cache(maxsize=64)
def pixels_of(photo: str) -> Pixels:
    """A checked photo's pixels (224, 224, 3)."""
    path = FOLDER / f"{photo}.jpg"
    raw = path.read_bytes() if photo in examples() else base64.b64decode(photo.partition(",")[2])
    with Image.open(io.BytesIO(raw), formats=("JPEG",)) as image:
        return squash(image)


def shown(photo: str, other: str = "", share: float = 0.0) -> str:
    """What the page draws of a checked photo, or of two laid over each other."""
    pixels = pixels_of(photo)
    if other and share:
        mixture = (1 - share) * pixels + share * pixels_of(other).astype(np.float32)
        pixels = mixture.round().astype(np.uint8)
    elif photo.startswith(PREFIX):
        return photo
    return packed(pixels)
