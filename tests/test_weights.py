"""What the shipped networks can do: each figure is computed anew on rows that they never saw."""

import json
from pathlib import Path

import numpy as np
import pytest

import models
from demos import discover
from demos.base import Demo
from demos.examples import compute, stored
from models.charlm.evaluate import evaluate, share_in_form, tables

pytestmark = pytest.mark.weights
FIXTURES = Path(__file__).parent / "fixtures"
FILES = {"shakespeare": "shakespeare.txt", "tang": "tang.jsonl", "hongloumeng": "hongloumeng.txt"}


def belief(network: str, text: list[str] | str) -> dict[str, float]:
    """The network's probability for every next token after a text."""
    net = models.load(f"charlm/{network}")
    state = net.zero()
    for token in text:
        logits, state, _ = net.tick([net.id(token)], state)
    z = np.exp(logits[0] - logits[0].max())
    return dict(zip(net.tokens, z / z.sum(), strict=True))


@pytest.mark.parametrize("network", FILES)
def test_held_out_rows_cost_about_what_the_card_says(network: str) -> None:
    net = models.load(f"charlm/{network}")
    scores = evaluate(net.folder, FIXTURES / FILES[network])
    assert scores["nats_per_char"] == pytest.approx(net.scores["nats_per_char"], rel=0.12)


def test_shakespeare_meets_its_target() -> None:
    assert models.load("charlm/shakespeare").scores["nats_per_char"] <= 1.42
    assert (models.ROOT / "charlm/shakespeare/model.safetensors").stat().st_size <= 16e6


def test_poems_keep_their_form_by_themselves() -> None:
    assert share_in_form(models.load("charlm/tang")) >= 0.97


@pytest.mark.parametrize("name", ["charlm/shakespeare", "charlm/tang", "charlm/hongloumeng", "captioner/flickr8k"])
def test_half_precision_costs_the_tick_nothing(name: str) -> None:
    net = models.load(name)
    layers = [net.cell] if name.startswith("captioner") else net.layers
    for matrix in (*(layer.weights for layer in layers), net.head):
        assert np.abs(matrix.weights - matrix.weights.astype(np.float16)).max() <= 2.0**-25


def test_the_cards_tables_are_what_was_measured() -> None:
    card = (models.ROOT / "charlm/README.md").read_text("utf-8")
    for name, rows in tables().items():
        assert f"<!-- {name} -->\n{rows}<!-- end of {name} -->" in card


@pytest.mark.parametrize(
    ("network", "text", "token", "least"),
    [
        ("shakespeare", "\n\nFirst Citizen", ":", 0.9),
        ("shakespeare", "I will not q", "u", 0.95),
        ("shakespeare", "What say you, my lord", "?", 0.1),
        ("tang", ["[五绝]", *"床前明月光"], "，", 0.98),
        ("hongloumeng", "黛玉笑道", "：", 0.8),
    ],
)
def test_the_networks_know_what_a_reader_knows(network: str, text: list[str] | str, token: str, least: float) -> None:
    assert belief(network, text)[token] >= least


def test_the_form_decides_where_a_line_ends() -> None:
    five, seven = (belief("tang", [form, *"床前明月光"])["，"] for form in ("[五绝]", "[七绝]"))
    assert five > 0.98
    assert seven < 0.02


@pytest.mark.parametrize("demo", discover(), ids=lambda demo: demo.name)
def test_the_stored_examples_are_what_the_networks_yield(demo: Demo) -> None:
    for number in range(len(demo.examples)):
        assert written(compute(demo, number)) == written(stored(demo, number))


def written(trace: str) -> list[tuple[str | None, str | None]]:
    """What a trace reads and writes; the last digits of probabilities differ between processors."""
    return [(record.get("r"), record.get("w")) for record in map(json.loads, trace.splitlines())]
