"""Pictures as visitors bring them: every kind of file, honest or not."""

import base64
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from demos import photos
from demos.base import InputError
from demos.photos import BYTES, PREFIX, SIZE, Photo, checked, from_file, opened, packed, pixels_of, shown

RNG = np.random.default_rng(0)


def picture(width: int = 90, height: int = 60, mode: str = "RGB") -> Image.Image:
    """Dark on the left, bright on the right, red at the top."""
    ramp = np.linspace(0, 255, width, dtype=np.uint8)[None].repeat(height, 0)
    pixels = np.stack([ramp, ramp, ramp], 2)
    pixels[: height // 4] = (255, 0, 0)
    return Image.fromarray(pixels).convert(mode)


def file_of(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def key_of(raw: bytes) -> str:
    """The sentence with which a file is refused."""
    with pytest.raises(InputError) as refused:
        opened(raw)
    return refused.value.key


def close(photo: str, image: Image.Image, tolerance: float = 12) -> None:
    wanted = np.asarray(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC), np.float32)
    assert np.abs(pixels_of(photo) - wanted).mean() < tolerance


# ---- what is opened -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_every_common_format_is_opened(kind: str) -> None:
    close(opened(file_of(picture(), kind)), picture())


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "I;16", "F", "LAB"])
def test_every_mode_becomes_colour(mode: str) -> None:
    kind = "TIFF" if mode in ("CMYK", "F", "LAB", "I", "I;16") else "PNG"
    image = picture(mode="L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image, np.uint16) * 200)
    pixels = pixels_of(opened(file_of(image, kind))).astype(int)
    assert pixels.shape == (SIZE, SIZE, 3)
    assert pixels[200, 200:].mean() > pixels[200, :24].mean() + 100  # still dark on the left


def test_sixteen_bits_use_the_whole_range() -> None:
    faint = Image.fromarray(np.linspace(100, 900, 64 * 64).astype(np.uint16).reshape(64, 64))
    pixels = pixels_of(opened(file_of(faint)))
    assert pixels.min() < 10
    assert pixels.max() > 245


def test_what_is_transparent_becomes_white() -> None:
    glass = Image.new("RGBA", (50, 50), (0, 0, 0, 0))
    assert pixels_of(opened(file_of(glass))).min() > 250
    palette = Image.new("P", (50, 50), 3)
    palette.putpalette([0, 0, 0] * 256)
    assert pixels_of(opened(file_of(palette, transparency=3))).min() > 250


def test_a_camera_held_sideways_is_turned_upright() -> None:
    image = picture()
    for orientation, turn in ((1, None), (3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_90)):
        exif = Image.Exif()
        exif[0x0112] = orientation
        sideways = image.transpose(turn) if turn is not None else image
        close(opened(file_of(sideways, "JPEG", exif=exif, quality=95)), image)


def test_the_whole_photo_is_squashed_and_nothing_cut_off() -> None:
    wide = Image.new("RGB", (900, 100), "black")
    wide.paste("white", (0, 0, 45, 100))
    wide.paste("red", (855, 0, 900, 100))
    pixels = pixels_of(opened(file_of(wide)))
    assert pixels[:, :8].min() > 200
    assert pixels[:, -8:, 0].min() > 200
    assert pixels[:, -8:, 1].max() < 60


def test_of_a_moving_picture_the_first_frame_is_read() -> None:
    frames = [picture(), Image.new("RGB", (90, 60), "blue"), Image.new("RGB", (90, 60), "green")]
    for kind in ("GIF", "WEBP", "PNG"):
        photo = opened(file_of(frames[0], kind, save_all=True, append_images=frames[1:]))
        close(photo, picture())
        assert photo.hints == ("hint.photo.animated",)
    assert opened(file_of(picture())).hints == ()


def test_one_pixel_is_opened_and_said_to_be_tiny() -> None:
    photo = opened(file_of(Image.new("RGB", (1, 1), "red")))
    assert photo.hints == ("hint.photo.small",)
    assert pixels_of(photo)[..., 0].min() > 240


# ---- what is refused ------------------------------------------------------------------------


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be huge."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (9_000, 9_000), (2**31 - 1, 1), (1, 2**31 - 1)])
def test_too_many_pixels_are_refused_before_they_are_decoded(width: int, height: int) -> None:
    assert key_of(bomb(width, height)) in ("error.photo.size", "error.photo.pixels")


def test_other_files_are_called_by_their_kind() -> None:
    svg = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    for raw, kind in (
        (svg, "SVG"),
        (b"%PDF-1.7\n" + bytes(500), "PDF"),
        (b"\0\0\0\x18ftypheic" + bytes(100), "HEIC"),
        (b"PK\x03\x04" + bytes(100), "ZIP, DOCX, PPTX"),
    ):
        with pytest.raises(InputError) as refused:
            opened(raw)
        assert refused.value.key == "error.photo.kind"
        assert refused.value.values == {"kind": kind}
    assert key_of(b"") == "error.photo.empty"
    assert key_of(b"hello, I am a picture") == "error.photo.none"
    assert key_of(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n") == "error.photo.none"
    assert key_of(bytes(BYTES + 1)) == "error.photo.file_too_large"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_a_truncated_file_is_refused(kind: str) -> None:
    whole = file_of(Image.fromarray(RNG.integers(0, 256, (80, 80, 3), dtype=np.uint8)), kind)
    for share in (0.1, 0.5, 0.9):
        assert key_of(whole[: int(len(whole) * share)]).startswith("error.photo.")


@given(data=st.data())
def test_a_damaged_file_is_a_picture_or_a_sentence(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"]))
    raw = bytearray(file_of(picture(), kind))
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=12)):
        raw[place] = data.draw(st.integers(0, 255))
    refused = []
    try:
        photo = opened(bytes(raw))
        assert pixels_of(photo).shape == (SIZE, SIZE, 3)
    except InputError as error:
        refused = [error.key]
    assert all(key.startswith("error.photo.") for key in refused)


def test_what_follows_a_picture_is_not_read() -> None:
    """A file that is a picture and something else as well is a picture here."""
    raw = file_of(picture(), "JPEG", quality=95) + b"<script>alert(1)</script>PK\x03\x04"
    photo = opened(raw)
    close(photo, picture())
    assert b"script" not in base64.b64decode(photo.removeprefix(PREFIX))


# ---- over the wire --------------------------------------------------------------------------


def test_a_photo_that_is_ready_travels_unchanged() -> None:
    photo = opened(file_of(picture(), "JPEG"))
    again = checked(str(photo))
    assert again == photo
    assert (pixels_of(again) == pixels_of(photo)).all()
    assert len(photo) < 60_000


def test_any_picture_may_come_as_a_data_url() -> None:
    raw = file_of(picture(300, 200), "PNG")
    photo = checked("data:image/png;base64," + base64.b64encode(raw).decode())
    assert photo.startswith(PREFIX)
    close(photo, picture(300, 200))


def test_a_large_jpeg_in_our_own_clothes_is_squashed_all_the_same() -> None:
    raw = file_of(picture(2000, 1500), "JPEG")
    photo = checked(PREFIX + base64.b64encode(raw).decode())
    assert Image.open(io.BytesIO(base64.b64decode(photo.removeprefix(PREFIX)))).size == (SIZE, SIZE)


@pytest.mark.parametrize(
    "value",
    [
        None, 3, [], {}, b"", "", "cat.jpg", "../../app", "/etc/passwd", "file:///etc/passwd", "https://example.org/a.jpg",
        "data:", "data:image/", "data:image/png;base64,", "data:image/png;base64,%%%", "data:image/jpeg;base64,AAAA",
        "data:text/html;base64,PHNjcmlwdD4=", "data:image/svg+xml;base64,PHN2Zz48L3N2Zz4=", "x" * 100_000,
        "\ud800", "\0",
    ],
)  # fmt: skip
def test_nothing_else_is_a_photo(value: object) -> None:
    with pytest.raises(InputError):
        checked(value)


def test_an_example_is_known_by_its_name_and_by_its_file() -> None:
    for name in photos.examples():
        path = photos.FOLDER / f"{name}.jpg"
        assert checked(name) == from_file(path) == name
        assert isinstance(checked(name), Photo)
        assert pixels_of(name).shape == (SIZE, SIZE, 3)
        assert shown(name).startswith(PREFIX)


def test_a_file_too_large_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    with pytest.raises(InputError) as refused:
        from_file(path)
    assert refused.value.key == "error.photo.file_too_large"


def test_two_photos_are_laid_over_each_other() -> None:
    black, white = (packed(np.full((SIZE, SIZE, 3), v, np.uint8)) for v in (0, 255))
    assert shown(black) == black
    for share in (0.25, 0.5, 1.0):
        mixed = pixels_of(shown(black, white, share))
        assert mixed.mean() == pytest.approx(255 * share, abs=2)
