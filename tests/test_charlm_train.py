"""Training: batches, the learning rate, and runs that stop and go on."""

import json
import math
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from models.charlm import train as training
from models.charlm.data import END, FORMS, OTHER, UNKNOWN
from models.charlm.evaluate import nats_of_text
from models.charlm.modeling import CharLMConfig
from models.charlm.network import Network
from models.charlm.train import (
    Run,
    Settings,
    poem_batches,
    prepare_book,
    prepare_poems,
    stream_batches,
    traditional_table,
    train,
)
from models.training import autocast, learning_rate
from tests.conftest import CELLS, ENGLISH, POEM

pytestmark = pytest.mark.usefixtures("cpu")

SIZES = {"cell": "gru", "embedding_size": 8, "hidden_size": 16, "num_layers": 2}
BRIEF = Settings(epochs=3, batch=4, steps=16, rate=1e-2, average=0.9)
OTHERS = ["山水\n山水", "山水山"]


@pytest.fixture(autouse=True)
def short_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCC takes seconds for all of Unicode; `test_traditional…` asks it for a few characters."""
    table = {"來": "来", "鳥": "鸟"}
    monkeypatch.setattr(training, "traditional_table", lambda characters: {c: table[c] for c in table})


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """A tiny text for each way of training."""
    poems = [POEM, POEM.replace("白", "黃"), *OTHERS] * 6
    rows = [json.dumps({"paragraphs": poem.split("\n")}) for poem in poems]
    (tmp_path / "poems").write_text("\n".join(rows))
    (tmp_path / "book").write_text(ENGLISH * 12)
    return {"shakespeare": tmp_path / "book", "tang": tmp_path / "poems"}


# ---- batches ----------------------------------------------------------------------------


def streams(n: int, settings: Settings, epoch: int) -> np.ndarray:
    """All that an epoch reads, as one row a stream; ids tell where a character stands."""
    inputs = [x.numpy() for x, _, _ in stream_batches(np.arange(n), settings, epoch)]
    return np.concatenate(inputs, 1) if inputs else np.zeros((settings.batch, 0), int)


@given(st.integers(2, 400), st.integers(1, 8), st.integers(1, 20), st.integers(0, 5))
def test_streams_run_on_and_nothing_is_read_twice(n: int, batch: int, steps: int, epoch: int) -> None:
    settings = Settings(batch=batch, steps=steps)
    read = streams(n, settings, epoch)
    assert (np.diff(read, axis=1) == 1).all()  # a stream is one stretch of the text, batch after batch
    assert len(np.unique(read)) == read.size
    assert read.size > n - 1 - steps - batch  # only a beginning shorter than `steps` and a rest are left out


@given(st.integers(50, 400), st.integers(1, 8), st.integers(1, 20))
def test_targets_are_the_inputs_moved_by_one(n: int, batch: int, steps: int) -> None:
    batches = list(stream_batches(np.arange(n), Settings(batch=batch, steps=steps), 0))
    for i, (inputs, targets, carry) in enumerate(batches):
        assert torch.equal(targets, inputs + 1)
        assert inputs.shape[0] == batch
        assert inputs.shape[1] <= steps
        assert carry is (i > 0)


def test_epochs_begin_at_different_places_and_repeat_with_the_seed() -> None:
    starts = [streams(2000, Settings(), epoch)[0, 0] for epoch in range(6)]
    assert len(set(starts)) > 3
    assert starts == [streams(2000, Settings(), epoch)[0, 0] for epoch in range(6)]


def poems_of(batches: list[training.Batch]) -> list[list[int]]:
    """The poems back from their batches, without the padding."""
    rows = [row for inputs, targets, _ in batches for row in zip(inputs.tolist(), targets.tolist(), strict=True)]
    return [[x[0], *(t for t in target if t != training.IGNORE)] for x, target in rows]


POEMS = st.lists(st.lists(st.integers(0, 50), min_size=2, max_size=30), min_size=1, max_size=30)


@given(POEMS, st.integers(1, 6), st.integers(0, 3))
def test_each_poem_is_read_once_an_epoch(poems: list[list[int]], batch: int, epoch: int) -> None:
    batches = list(poem_batches(poems, Settings(batch=batch, steps=40), epoch))
    assert sorted(poems_of(batches)) == sorted(poems)
    assert not any(carry for _, _, carry in batches)


@given(POEMS, st.integers(2, 20))
def test_long_poems_are_cut(poems: list[list[int]], steps: int) -> None:
    batches = list(poem_batches(poems, Settings(batch=4, steps=steps), 0))
    assert sorted(poems_of(batches)) == sorted(poem[:steps] for poem in poems)


@given(POEMS)
def test_inputs_of_poems_are_ids_wherever_a_target_counts(poems: list[list[int]]) -> None:
    for inputs, targets, _ in poem_batches(poems, Settings(batch=5, steps=40), 0):
        assert inputs.min() >= 0
        real = targets != training.IGNORE
        assert torch.equal(inputs[:, 1:][real[:, 1:]], targets[:, :-1][real[:, 1:]])


def tiny_run(settings: Settings, cell: str = "gru") -> Run:
    """A run without dropout, so that an update's loss is that of the network as it stands."""
    rates = {"dropout": 0.0, "input_dropout": 0.0, "weight_dropout": 0.0}
    return Run(CharLMConfig(**SIZES | rates | {"vocab_size": 20, "cell": cell}), settings, "cpu")


@pytest.mark.parametrize("cell", CELLS)
def test_padding_costs_nothing(cell: str) -> None:
    short, long = [1, 2, 3], [4, 5, 6, 7, 8, 9, 10, 11]
    run = tiny_run(Settings(batch=2), cell)
    with torch.no_grad():
        run.net.head.bias[0] -= 10  # what padding is read as would cost much, were it a target
        logits = [run.net(torch.tensor([poem[:-1]])).logits[0] for poem in (short, long)]
    expected = F.cross_entropy(torch.cat(logits), torch.tensor(short[1:] + long[1:])).item()
    (batch,) = poem_batches([short, long], run.settings, 0)
    assert run.update(batch, None, 0.0)[1] == pytest.approx(expected, rel=0.01)  # bfloat16


@pytest.mark.parametrize("able", [{"avx512_bf16": True}, {"amx_bf16": True}, {"avx2": True, "avx512_bf16": False}, {}])
def test_half_precision_only_on_processors_that_have_it(able: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    with autocast("cpu"):
        assert torch.is_autocast_enabled("cpu") == any(able[k] for k in able if "bf16" in k)


# ---- the optimiser ----------------------------------------------------------------------


def test_learning_rate_warms_up_and_falls_to_zero() -> None:
    rates = [learning_rate(Settings(rate=0.1), done) for done in np.linspace(0, 1, 1001)]
    assert rates[0] == 0
    assert max(rates) == rates[10] == pytest.approx(0.1, rel=1e-3)
    assert all(a < b for a, b in pairwise(rates[:11]))
    assert all(a > b for a, b in pairwise(rates[10:]))
    assert rates[505] == pytest.approx(0.05, rel=0.02)
    assert rates[-1] == pytest.approx(0, abs=1e-9)


def test_the_average_of_the_weights_follows_them_slowly() -> None:
    run = tiny_run(replace(BRIEF, average=0.75))
    (batch,) = poem_batches([[1, 2, 3, 4]], run.settings, 0)
    run.update(batch, None, 0.5)  # the average starts at the first update
    before = {k: v.clone() for k, v in run.mean.module.named_parameters()}
    run.update(batch, None, 0.5)
    for name, weights in run.net.named_parameters():
        mean = run.mean.module.get_parameter(name)
        torch.testing.assert_close(mean, 0.75 * before[name] + 0.25 * weights)


def test_state_is_carried_where_a_batch_says_so() -> None:
    run = tiny_run(replace(BRIEF, rate=0.0))
    x = torch.tensor([[1, 2, 3]])
    state, fresh = run.update((x, x, False), None, 0.5)
    assert run.update((x, x, False), state, 0.5)[1] == fresh
    assert run.update((x, x, True), state, 0.5)[1] != fresh
    assert not any(part.requires_grad for part in state)


# ---- runs -------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
def test_training_lowers_the_loss(cell: str, files: dict[str, Path], tmp_path: Path) -> None:
    config = SIZES | {"cell": cell, "dropout": 0.1}
    nats = []
    for epochs in (0, 4):
        settings = replace(BRIEF, epochs=epochs)
        net = train("shakespeare", files["shakespeare"], tmp_path / str(epochs), dict(config), settings)
        ids = prepare_book(files["shakespeare"], "shakespeare")[0][:300].tolist()
        with torch.no_grad():
            nats.append(nats_of_text(net, ids) / len(ids))
    assert nats[1] < nats[0] - 0.3


def interrupt_after(epoch: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Stop the run as soon as this epoch's checkpoint is written; returns the epochs saved."""
    saved, save = [], Run.save

    def save_and_stop(run: Run, path: Path) -> None:
        save(run, path)
        saved.append(run.epoch)
        if run.epoch == epoch:
            raise KeyboardInterrupt

    monkeypatch.setattr(Run, "save", save_and_stop)
    return saved


@pytest.mark.parametrize("corpus", ["shakespeare", "tang"])
def test_a_stopped_run_goes_on_as_if_nothing_had_happened(
    corpus: str, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(corpus, files[corpus], tmp_path / "whole", dict(SIZES), BRIEF)
    with monkeypatch.context() as patch:
        interrupt_after(1, patch)
        with pytest.raises(KeyboardInterrupt):
            train(corpus, files[corpus], tmp_path / "parts", dict(SIZES), BRIEF)
    saved = interrupt_after(0, monkeypatch)  # never: only looks on
    resumed = train(corpus, files[corpus], tmp_path / "parts", dict(SIZES), BRIEF)
    assert saved == [2, 3]
    for name, weights in whole.state_dict().items():
        assert torch.equal(weights, resumed.state_dict()[name]), name
    one, other = (load_file(tmp_path / run / "checkpoint.safetensors") for run in ("whole", "parts"))
    assert all(torch.equal(one[name], other[name]) for name in one | other)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_an_interrupted_save_leaves_the_last_checkpoint_whole(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(BRIEF, epochs=1)
    train("shakespeare", files["shakespeare"], tmp_path / "out", dict(SIZES), settings)
    checkpoint = tmp_path / "out" / "checkpoint.safetensors"
    before = checkpoint.read_bytes()
    run = tiny_run(settings)
    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run.save(checkpoint)
    assert checkpoint.read_bytes() == before


@pytest.mark.parametrize("change", [{"seed": 2}, {"epochs": 4}, {"rate": 1e-3}])
def test_a_run_with_other_settings_is_refused(change: dict, tmp_path: Path) -> None:
    first = tiny_run(BRIEF)
    (batch,) = poem_batches([[1, 2, 3]], BRIEF, 0)
    first.update(batch, None, 0.5)
    first.save(tmp_path / "checkpoint.safetensors")
    other = tiny_run(replace(BRIEF, **change))
    with pytest.raises(SystemExit, match="other settings"):
        other.resume(tmp_path / "checkpoint.safetensors")


def test_a_run_with_another_cell_is_refused(tmp_path: Path) -> None:
    first = tiny_run(BRIEF)
    first.save(tmp_path / "checkpoint.safetensors")
    with pytest.raises(SystemExit, match="other settings"):
        tiny_run(BRIEF, "rnn").resume(tmp_path / "checkpoint.safetensors")


def test_training_refuses_a_folder_of_other_settings(files: dict[str, Path], tmp_path: Path) -> None:
    train("tang", files["tang"], tmp_path / "out", dict(SIZES), replace(BRIEF, epochs=1))
    with pytest.raises(SystemExit):
        train("tang", files["tang"], tmp_path / "out", dict(SIZES), replace(BRIEF, epochs=2))


def test_start_goes_on_from_given_weights(files: dict[str, Path], tmp_path: Path) -> None:
    settings = replace(BRIEF, epochs=1)
    train("tang", files["tang"], tmp_path / "first", dict(SIZES), settings)
    settings = replace(settings, epochs=0, start=str(tmp_path / "first"), seed=7)
    started = train("tang", files["tang"], tmp_path / "second", dict(SIZES), settings)
    fresh = train("tang", files["tang"], tmp_path / "third", dict(SIZES), replace(settings, start=""))
    for name, weights in load_file(tmp_path / "first" / "model.safetensors").items():
        assert torch.equal(started.state_dict()[name], weights.float())
        assert not torch.equal(fresh.state_dict()[name], weights.float())


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_exported_folder_is_the_averaged_network(cell: str, tied: bool, files: dict[str, Path], tmp_path: Path) -> None:
    config = SIZES | {"cell": cell, "tie_word_embeddings": tied}
    net = train("shakespeare", files["shakespeare"], tmp_path / "out", config, replace(BRIEF, epochs=1))
    network, state = Network(tmp_path / "out"), None
    ids = network.encode(ENGLISH)
    with torch.no_grad():
        expected = net(torch.tensor([ids])).logits[0].numpy()
    state = network.zero()
    for i, row in zip(ids, expected, strict=True):
        logits, state, _ = network.tick([i], state)
        np.testing.assert_allclose(logits[0], row, atol=0.01)
    for name, stored in load_file(tmp_path / "out" / "model.safetensors").items():
        assert torch.equal(stored, net.state_dict()[name].half())


def test_config_tells_the_corpus_and_its_length(files: dict[str, Path], tmp_path: Path) -> None:
    for corpus, length in (("shakespeare", len(ENGLISH) * 12), ("tang", 0)):
        out = tmp_path / corpus
        train(corpus, files[corpus], out, dict(SIZES), replace(BRIEF, epochs=1))
        network = Network(out)
        assert network.config["corpus"] == corpus
        assert network.config["corpus_characters"] == length
        assert network.config["vocab_size"] == len(network.tokens) == len(network.embedding)
        assert network.normalise("來" if corpus == "tang" else "’") in ("来", "'")


def test_command_line_sets_every_size_and_setting(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setattr(training, "train", lambda *given: calls.append(given))
    flags = "--cell rnn --hidden_size 9 --tie_word_embeddings false --epochs 2 --rate 0.5 --others 0"
    argv = ["train", "tang", "--data", str(files["tang"]), "--out", str(tmp_path), *flags.split()]
    monkeypatch.setattr(sys, "argv", argv)
    training.main()
    ((corpus, data, out, config, settings),) = calls
    assert (corpus, data, out) == ("tang", files["tang"], tmp_path)
    assert settings == Settings(epochs=2, rate=0.5, others=0.0)
    built = CharLMConfig(**config)
    assert (built.cell, built.hidden_size, built.tie_word_embeddings) == ("rnn", 9, False)
    assert built.embedding_size == CharLMConfig.embedding_size


# ---- data -------------------------------------------------------------------------------


def test_others_decides_how_many_poems_without_a_form_are_read(files: dict[str, Path]) -> None:
    kept = {}
    for others in (0.0, 0.5, 1.0):
        ids, tokenizer, _ = prepare_poems(files["tang"], Settings(others=others))
        first = [tokenizer.id_to_token(poem[0]) for poem in ids]
        assert sum(token in FORMS for token in first) == 12
        assert all(tokenizer.id_to_token(poem[-1]) == END for poem in ids)
        kept[others] = sum(token == OTHER for token in first)
    assert kept[0.0] == 0 < kept[0.5] < kept[1.0] == 12


def test_poems_are_simplified_and_rare_characters_unknown(tmp_path: Path) -> None:
    path = tmp_path / "poems"
    path.write_text("\n".join(json.dumps({"paragraphs": [text]}) for text in ("來鳥", "来鸟", "孤")))
    ids, tokenizer, variants = prepare_poems(path, Settings())
    assert ids[0] == ids[1]
    assert tokenizer.token_to_id("來") is None
    assert tokenizer.id_to_token(ids[2][1]) == UNKNOWN
    assert variants["來"] == "来"


@pytest.mark.parametrize(("corpus", "rare"), [("shakespeare", "z"), ("hongloumeng", UNKNOWN)])
def test_only_the_novel_trains_on_the_unknown(corpus: str, rare: str, tmp_path: Path) -> None:
    letters, odd = ("ab", "z") if corpus == "shakespeare" else ("宝玉", "寂")
    (tmp_path / "book").write_text(odd + letters * 50, "utf-8")
    ids, tokenizer, _ = prepare_book(tmp_path / "book", corpus)
    assert tokenizer.id_to_token(ids[0]) == rare
    assert [tokenizer.id_to_token(i) for i in ids[1:3]] == list(letters)
    assert math.isclose(len(ids), 101 * (0.9 if corpus == "shakespeare" else 0.95), abs_tol=1.5)


def test_the_novel_replaces_only_characters_that_it_never_uses(tmp_path: Path) -> None:
    (tmp_path / "book").write_text("来宝玉鳥鸟" * 40, "utf-8")
    *_, variants = prepare_book(tmp_path / "book", "hongloumeng")
    assert variants["來"] == "来"
    assert "鳥" not in variants
    assert variants["."] == "。"


def test_traditional_table_is_one_character_to_one() -> None:
    assert traditional_table({"來", "鳥", "山", "a", "乾"}) == {"來": "来", "鳥": "鸟"}
