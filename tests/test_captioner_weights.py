"""What the shipped captioner can do: targets, dependence on the photo, and what it does not know."""

import io
import json

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

import models
from demos import one_to_many, photos
from demos.one_to_many import DEMO, NETWORK
from models.captioner.data import squash, words_of
from models.captioner.evaluate import HERE, table
from models.captioner.search import caption

pytestmark = pytest.mark.weights
REFERENCES = json.loads((photos.FOLDER / "captions.json").read_text("utf-8"))
COMMON = {"a", "an", "the", "is", "are", "in", "on", "of", "and", "with", "to", "at", "its", "it", "his", "her", "by"}
RNG = np.random.default_rng(11)


def net() -> object:
    return models.load(NETWORK)


def said(photo: str, language: str = "en", **values: object) -> list[str]:
    return caption(net(), one_to_many.encoding_of(photo), language, **values)


# ---- the figures ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "figure", "least"),
    [
        ("en", "bleu4", 22),
        ("en", "cider", 58),
        ("zh", "bleu4", 42),
        ("zh", "cider", 148),
        ("en", "distinct_captions", 0.7),
        ("zh", "distinct_captions", 0.5),
        ("en", "words", 400),
    ],
)
def test_the_targets_are_met(language: str, figure: str, least: float) -> None:
    assert net().scores[language][figure] >= least


@pytest.mark.parametrize("language", ["en", "zh"])
def test_captions_belong_to_their_photos_on_the_thousand(language: str) -> None:
    """Given to the next photo, the same captions are worth little."""
    scores = net().scores[language]
    assert scores["cider_swapped"] < 0.35 * scores["cider"]


def test_the_network_is_small() -> None:
    assert sum(path.stat().st_size for path in net().folder.iterdir()) <= 30e6


def test_the_card_shows_what_was_measured() -> None:
    assert f"<!-- scores -->\n{table()}\n<!-- end of scores -->" in (HERE / "README.md").read_text("utf-8")


# ---- the photo matters ----------------------------------------------------------------------


def overlap(caption: list[str], references: list[str]) -> float:
    """The share of a caption's telling words that stand in some reference."""
    telling = [w for w in caption if w not in COMMON]
    wanted = {w for r in references for w in words_of(r)}
    return sum(w in wanted for w in telling) / max(1, len(telling))


def test_captions_belong_to_their_photos() -> None:
    """Against the same captions given to other photos, in 2,000 random orders."""
    names = list(REFERENCES)
    scores = np.array([[overlap(said(photo), REFERENCES[other]) for other in names] for photo in names])
    right = np.trace(scores)
    mixed = [scores[np.arange(len(names)), RNG.permutation(len(names))].sum() for _ in range(2000)]
    assert np.mean([m >= right for m in mixed]) < 0.01
    assert right / len(names) > 0.4


def test_a_dog_is_a_dog_in_both_languages() -> None:
    for photo in ("shepherd", "retriever", "dachshund"):
        assert "dog" in said(photo) or "dogs" in said(photo) or "shepherd" in said(photo)
        assert "狗" in said(photo, "zh")


def test_the_captions_of_the_examples_differ() -> None:
    captions = {tuple(said(e["photo"])) for e in DEMO.examples}
    assert len(captions) >= 0.75 * len(DEMO.examples)


def test_the_photo_raises_its_telling_words() -> None:
    inputs = DEMO.check({"photo": "shepherd"})
    steps = [s for s in DEMO.steps(**inputs) if s.written is not None]
    raised = {s.written: s.effects["mean"] for s in steps}
    assert max(raised.values()) > 1.5
    assert all(abs(raised[w]) < 1.5 for w in raised if w in ("is", "the", "of"))


def test_a_darker_photo_lies_close_and_another_far() -> None:
    encode = lambda pixels: net().encode(pixels[None])[0]  # noqa: E731
    pixels = photos.pixels_of("shepherd")
    own, darker, other = encode(pixels), encode((pixels * 0.85).astype(np.uint8)), encode(photos.pixels_of("coffee"))
    assert np.linalg.norm(own - darker) < 0.5 * np.linalg.norm(own - other)


# ---- what it does not know ------------------------------------------------------------------


def text_page() -> Image.Image:
    page = Image.new("RGB", (600, 800), "white")
    draw = ImageDraw.Draw(page)
    for y in range(30, 770, 20):
        draw.text((40, y), "h_t = f(U x_t + W h_(t-1)) and so on, line after line", fill="black", font_size=16)
    return page


def drawing() -> Image.Image:
    page = Image.new("RGB", (400, 400), "white")
    draw = ImageDraw.Draw(page)
    draw.ellipse((90, 60, 310, 280), outline="black", width=5)
    draw.ellipse((150, 130, 170, 150), fill="black")
    draw.ellipse((230, 130, 250, 150), fill="black")
    draw.arc((150, 150, 250, 240), 20, 160, fill="red", width=6)
    draw.line((200, 280, 200, 390), fill="black", width=5)
    return page


def noise(blur: float = 0) -> Image.Image:
    image = Image.fromarray(RNG.integers(0, 256, (300, 300, 3), dtype=np.uint8))
    return image.filter(ImageFilter.GaussianBlur(blur)) if blur else image


STRANGE = {
    "noise": noise(),
    "blurred noise": noise(6),
    "white": Image.new("RGB", (300, 200), "white"),
    "blue": Image.new("RGB", (300, 200), "blue"),
    "a page of text": text_page(),
    "a drawing": drawing(),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_what_is_no_photo_is_said_to_be_strange(kind: str) -> None:
    file = io.BytesIO()
    STRANGE[kind].save(file, "PNG")
    photo = photos.opened(file.getvalue())
    assert "hint.photo.far" in DEMO.header(**DEMO.check({"photo": photo}))["hints"]


def test_ordinary_photos_are_seldom_said_to_be_strange() -> None:
    assert np.mean([net().farther(one_to_many.encoding_of(name)) < net().familiar.least for name in REFERENCES]) < 0.2
    inner = np.quantile(net().familiar.known, [0.02, 0.5, 0.98])
    assert (np.diff(inner) > 0).all()


def test_the_rows_of_the_training_set_are_not_in_the_project() -> None:
    """An example photo is not one of Flickr8k: its licence allows to show it."""
    licences = (photos.FOLDER / "LICENCES.md").read_text("utf-8")
    assert all(f"| {name}.jpg |" in licences for name in photos.examples())
    assert {e["photo"] for e in DEMO.examples} == set(photos.examples())


def test_ticks_and_module_agree_on_the_shipped_weights() -> None:
    import torch

    network = net()
    ids = [network.starts["en"], *(network.ids[w] for w in said("retriever"))]
    encoding = one_to_many.encoding_of("retriever")[None]
    with torch.inference_mode():
        device = network.module.device
        wanted = network.module(torch.tensor(encoding).to(device), torch.tensor([ids]).to(device))[0].cpu().numpy()
    tick = network.look(encoding, network.zero())
    allowed = network.head_bias > -1e8
    for t, token in enumerate(ids):
        tick = network.tick([token], tick.state)
        close = 1e-4 if device.type == "cpu" else 1e-2  # a GPU rounds to ten bits before it multiplies
        np.testing.assert_allclose(tick.logits[0][allowed], wanted[t][allowed], atol=close)


def test_the_photo_is_squashed_as_in_training() -> None:
    """The squashed form of a photo looks like the photo itself, but for what JPEG changes."""
    path = photos.FOLDER / "horses.jpg"
    with Image.open(path) as image:
        small = Image.fromarray(squash(image))
    file = io.BytesIO()
    small.save(file, "PNG")
    again, own, other = (one_to_many.encoding_of(p) for p in (photos.opened(file.getvalue()), "horses", "coffee"))
    assert np.linalg.norm(again - own) < 0.3 * np.linalg.norm(own - other)
