"""Opening networks by name: what is not there or damaged, and what lies in models/."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import app
import models
from demos import discover
from demos.text import say
from models import NetworkError, checksums, load
from models.charlm.network import Network

SHIPPED = sorted(path.parent for path in models.ROOT.glob("*/*/config.json"))
NAME = "charlm/shakespeare"


@pytest.fixture
def root(tiny_root: Path, tmp_path: Path, use_root: Callable[[Path], None]) -> Path:
    """A copy of the tiny networks that a test may damage."""
    copy = Path(shutil.copytree(tiny_root, tmp_path / "models"))
    use_root(copy)
    return copy


def works(name: str) -> bool:
    net = load(name)
    logits, _, _ = net.tick([1], net.zero())
    return logits.shape == (1, len(net.tokens))


# ---- names ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "x",
        "charlm",
        "charlm/",
        "charlm/x",
        "/shakespeare",
        "../x",
        "../models/charlm/shakespeare",
        "charlm/../charlm/shakespeare",
        "charlm/./shakespeare",
        "charlm//shakespeare",
        "charlm/shakespeare/",
        "charlm/shakespeare/config.json",
        "charlm/*",
        "Charlm/shakespeare",
        "/etc/passwd",
        "charlm/shakespeare\x00",
        "charlm\\shakespeare",
        "os/path",
    ],
)
@pytest.mark.usefixtures("root")
def test_a_name_that_is_none_of_ours_is_refused(name: str) -> None:
    with pytest.raises(NetworkError):
        load(name)
    with pytest.raises(NetworkError):
        models.facts(name)


@pytest.mark.usefixtures("root")
@given(st.text(max_size=30) | st.text("./\\charlmtng*", max_size=30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_other_text_is_no_name(name: str) -> None:
    if name != "charlm/tang":
        with pytest.raises(NetworkError):
            load(name)


@pytest.mark.usefixtures("tiny")
def test_names_are_the_folders_with_a_network() -> None:
    assert models.names("charlm") == ["hongloumeng", "shakespeare", "tang"]
    assert models.names("nothing") == []
    assert all(works(f"charlm/{name}") for name in models.names("charlm"))


def test_a_folder_without_an_architecture_is_refused(root: Path) -> None:
    shutil.copytree(root / "charlm", root / "unheard")
    with pytest.raises(NetworkError, match="unheard"):
        load("unheard/tang")


@pytest.mark.usefixtures("tiny")
def test_facts_are_those_of_the_files() -> None:
    facts = models.facts("charlm/tang")
    assert facts["config"]["cell"] == "gru"
    assert facts["scores"]["characters"] == 1000


# ---- damaged files ----------------------------------------------------------------------


def truncate(path: Path, share: float) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values), "utf-8")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty weights": lambda f: truncate(f / "model.safetensors", 0),
    "weights end in the header": lambda f: truncate(f / "model.safetensors", 0.05),
    "weights end early": lambda f: truncate(f / "model.safetensors", 0.9),
    "no weights": lambda f: (f / "model.safetensors").unlink(),
    "weights are a Git LFS pointer": lambda f: (f / "model.safetensors").write_text("version https://git-lfs…\n"),
    "config is no JSON": lambda f: truncate(f / "config.json", 0.5),
    "config is a list": lambda f: (f / "config.json").write_text("[]"),
    "config is no UTF-8": lambda f: (f / "config.json").write_bytes(b"\xff\xfe\xff"),
    "no such cell": lambda f: change(f / "config.json", cell="transformer"),
    "more layers than weights": lambda f: change(f / "config.json", num_layers=3),
    "untied without a head": lambda f: change(f / "config.json", tie_word_embeddings=False),
    "no tokenizer": lambda f: (f / "tokenizer.json").unlink(),
    "tokenizer is no JSON": lambda f: truncate(f / "tokenizer.json", 0.5),
    "no variants": lambda f: (f / "variants.json").unlink(),
    "scores are no JSON": lambda f: truncate(f / "scores.json", 0.5),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_network_is_an_error_of_its_own_and_the_others_load(damage: str, root: Path) -> None:
    DAMAGES[damage](root / NAME)
    for _ in range(2):  # the second call is no other
        with pytest.raises(NetworkError, match=NAME):
            load(NAME)
    assert works("charlm/tang")
    assert works("charlm/hongloumeng")


CARDS = ("captioner/flickr8k", "charlm/tang", "sentiment/zh-gru")
SPOILT: dict[str, Callable[[dict], object]] = {
    "a key is gone": lambda scores: scores.pop("parameters"),
    "a key has another name": lambda scores: scores.update(parametres=scores.pop("parameters")),
    "a figure is a text": lambda scores: scores.update(parameters="many"),
    "a figure is nothing": lambda scores: scores.update(dict.fromkeys(scores)),
    "a file has another name": lambda scores: scores.update(files={"unheard": {}}, en={}, nats_per_char=[]),
    "no word for a file": lambda scores: scores.update(
        files={"unheard": {"accuracy": 0.5, "calibration_error": 0.1}}, en={}, bits_per_char=[]
    ),
}


@pytest.mark.parametrize("spoil", SPOILT)
@pytest.mark.parametrize("name", CARDS)
def test_spoilt_scores_cost_their_own_card_only(name: str, spoil: str, root: Path) -> None:
    path = root / name / "scores.json"
    scores = json.loads(path.read_text("utf-8"))
    SPOILT[spoil](scores)
    path.write_text(json.dumps(scores), "utf-8")
    cards = "".join(app.facts(demo, "en") for demo in discover())
    each = 2 if name.startswith("charlm") else 1  # two tabs show the books' cards
    assert cards.count(say("en", "error.network")) == each


@pytest.mark.parametrize("file", ["config.json", "scores.json"])
def test_facts_are_checked_by_their_sums(root: Path, file: str) -> None:
    checksums.write(root / NAME)
    assert models.facts(NAME)
    path = root / NAME / file
    path.write_text(path.read_text("utf-8").replace("1", "2", 1), "utf-8")
    for ask in (models.facts, load):
        with pytest.raises(NetworkError, match=file):
            ask(NAME)


def test_a_mended_network_loads_without_a_restart(root: Path) -> None:
    whole = (root / NAME / "config.json").read_bytes()
    truncate(root / NAME / "config.json", 0.5)
    with pytest.raises(NetworkError):
        load(NAME)
    (root / NAME / "config.json").write_bytes(whole)
    assert works(NAME)


def test_a_link_to_nowhere_is_a_missing_file(root: Path) -> None:
    (root / NAME / "model.safetensors").unlink()
    (root / NAME / "model.safetensors").symlink_to(root / "nowhere")
    for _ in range(2):
        with pytest.raises(NetworkError, match=NAME):
            load(NAME)


def test_a_damaged_network_is_not_read_again_before_it_is_mended(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, take = [], Network._take
    monkeypatch.setattr(Network, "_take", lambda net, stored: (opened.append(net), take(net, stored)))
    change(root / NAME / "config.json", num_layers=3)
    for _ in range(3):
        with pytest.raises(NetworkError, match=NAME):
            load(NAME)
    assert len(opened) == 1


def test_a_network_that_was_never_measured_loads(root: Path) -> None:
    (root / NAME / "scores.json").unlink()
    assert load(NAME).scores == {}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2**16), st.integers(1, 255)), min_size=1, max_size=3))
def test_flipped_bytes_in_the_header_of_the_weights_are_refused_or_harmless(
    root: Path, flips: list[tuple[int, int]]
) -> None:
    models._open.cache_clear()
    path = root / NAME / "model.safetensors"
    whole = path.read_bytes()
    damaged, header = bytearray(whole), 8 + int.from_bytes(whole[:8], "little")
    for place, mask in flips:
        damaged[place % header] ^= mask
    path.write_bytes(damaged)
    try:
        with suppress(NetworkError):
            assert works(NAME)
    finally:
        path.write_bytes(whole)


# ---- many visitors ----------------------------------------------------------------------


@pytest.mark.usefixtures("tiny")
def test_a_network_is_opened_once_for_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    opened, again, take = [], Event(), Network._take

    def take_when_alone(network: Network, stored: dict[str, np.ndarray]) -> None:
        if opened:
            again.set()
        opened.append(network)
        again.wait(0.1)  # another thread may come in, if it can
        take(network, stored)

    monkeypatch.setattr(Network, "_take", take_when_alone)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(load, [NAME] * 8))
    assert opened == [found[0]]
    assert all(net is found[0] for net in found)
    assert load(NAME) is found[0]
    assert load("charlm/tang") is not found[0]


@pytest.mark.usefixtures("tiny")
def test_nobody_waits_for_anothers_network(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, free, opening = Event(), Event(), models._open

    def slow(family: str, network: str) -> object:
        if network == "tang":
            begun.set()
            assert free.wait(60)
        return opening(family, network)

    slow.cache_clear = opening.cache_clear
    monkeypatch.setattr(models, "_open", slow)
    with ThreadPoolExecutor(2) as pool:
        poems = pool.submit(load, "charlm/tang")
        assert begun.wait(60)
        try:
            assert pool.submit(works, NAME).result(60)
        finally:
            free.set()
        assert poems.result(60)


@pytest.mark.usefixtures("tiny")
def test_threads_share_a_network_and_not_its_state() -> None:
    net = load(NAME)

    def read(text: str) -> np.ndarray:
        state = net.zero()
        for token in text:
            logits, state, _ = net.tick([net.id(token)], state)
        return logits

    texts = ["ROMEO" * 20, "torches" * 20, "teach " * 20, "What" * 20] * 2
    alone = [read(text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        np.testing.assert_array_equal(list(pool.map(read, texts)), alone)


# ---- what ships -------------------------------------------------------------------------


def test_nothing_in_models_is_a_pickle() -> None:
    found = [path for path in models.ROOT.rglob("*") if path.suffix in (".pt", ".pth", ".bin", ".pkl", ".pickle")]
    assert found == []
    assert SHIPPED


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_shipped_network_has_all_its_files(folder: Path) -> None:
    assert {"model.safetensors", "tokenizer.json", "scores.json"} <= {path.name for path in folder.iterdir()}
    facts = models.facts(f"{folder.parent.name}/{folder.name}")
    assert facts["config"]
    assert facts["scores"]


def test_what_is_expensive_is_made_once_for_all_threads() -> None:
    made, begun = [], Event()

    class Slow:
        @models.shared_property
        def thing(self) -> object:
            begun.set()
            made.append(object())
            other.join(0.1)  # the other thread must still be waiting
            return made[-1]

    slow, seen = Slow(), []
    other = Thread(target=lambda: begun.wait() and seen.append(slow.thing))
    other.start()
    seen.append(slow.thing)
    other.join()
    assert len(made) == 1
    assert seen == made * 2


def test_all_networks_together_stay_under_eighty_megabytes() -> None:
    files = (path for folder in SHIPPED for path in folder.iterdir() if path.name != "checkpoint.safetensors")
    assert sum(path.stat().st_size for path in files) <= 80 * 2**20
