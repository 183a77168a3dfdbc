"""What the shipped sentiment networks can do: targets, calibration, and sentences of our own."""

import json

import numpy as np
import pytest

import models
from demos import listing, sentences
from models.sentiment.evaluate import HERE, table

pytestmark = pytest.mark.weights
NETWORKS = [f"sentiment/{name}" for name in models.names("sentiment")]


def positive(text: str, network: str = "one_way") -> float:
    (row,) = listing.verdicts([text], "auto", network)
    return row["positive"]


def score(network: str, file: str) -> dict[str, float]:
    return models.load(f"sentiment/{network}").scores["files"][file]


def test_every_network_of_the_tab_is_there() -> None:
    wanted = {sentences.network_of(lang, name) for lang in ("en", "zh") for name in sentences.FOLDERS}
    assert wanted <= set(NETWORKS)


@pytest.mark.parametrize(
    ("network", "file", "least"),
    [
        ("en", "sst2", 0.89),
        ("en-bidirectional", "sst2", 0.895),
        ("en", "imdb", 0.91),
        ("en-bidirectional", "imdb", 0.91),
        ("zh", "zh_reviews", 0.943),
    ],
)
def test_the_targets_are_met(network: str, file: str, least: float) -> None:
    assert score(network, file)["accuracy"] >= least


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_small_and_honest(name: str) -> None:
    network = models.load(name)
    assert (network.folder / "model.safetensors").stat().st_size <= 16e6
    assert all(file["calibration_error"] < 0.06 for file in network.scores["files"].values())


def test_the_card_shows_what_was_measured() -> None:
    assert f"<!-- scores -->\n{table()}\n<!-- end of scores -->" in (HERE / "README.md").read_text("utf-8")


@pytest.mark.parametrize("network", ["one_way", "two_way"])
@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("The food was good.", "The food was not good."),
        ("Not bad at all.", "Not good at all."),
        ("It used to be terrible, but now it is great.", "It used to be great, but now it is terrible."),
        ("Anything but boring.", "Anything but exciting."),
        ("The plot is silly, but I loved it.", "The cast is lovely, but I hated it."),
        ("I would recommend this phone.", "I wouldn't recommend this phone."),
        ("great", "awful"),
        ("一点也不难吃。", "一点也不好吃。"),
        ("虽然等了很久，但是味道很好。", "虽然环境很好，但是味道很差。"),
        ("很好", "很差"),
    ],
)
def test_small_edits_turn_the_verdict(network: str, good: str, bad: str) -> None:
    assert positive(bad, network) < 0.5 < positive(good, network)


@pytest.mark.parametrize("text", ["The film was shown on Monday.", "The box contains a cable.", "会议在二楼举行。"])
def test_plain_facts_are_no_sure_verdict(text: str) -> None:
    assert 0.1 < positive(text) < 0.9


@pytest.mark.parametrize("name", NETWORKS)
def test_ticks_and_module_agree_on_real_weights(name: str) -> None:
    net = models.load(name)
    text = "我一点也不喜欢。" if "/zh" in name else "I can't say that I liked any of it, but the ending moved me."
    ids = net.tokenizer.encode(text).ids
    ends = []
    for direction in net.layers:
        state = net.zero(direction)
        for id_ in ids if direction == "forwards" else ids[::-1]:
            state = net.tick(id_, state, direction).state
        ends.append(state[-1].h)
    from models.sentiment.network import chance

    np.testing.assert_allclose(net.verdict(*ends), chance(net.odds([ids]))[0], atol=1e-5)
    assert json.loads((net.folder / "config.json").read_text("utf-8"))["temperature"] > 0
