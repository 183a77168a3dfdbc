"""Sentiment networks, tiny and random: ticks, modules, explanations, tokens, training."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from models.average import average
from models.sentiment import calibrate, made, pretrain
from models.sentiment.bag import Bag, as_ids, fit
from models.sentiment.data import Row, chinese_tokenizer, held_out, read_rows, split_sentences, word_pieces
from models.sentiment.evaluate import calibration_error, evaluate, scores
from models.sentiment.explain import after_every_word, gradients, left_out, lstm_cell
from models.sentiment.modeling import SentimentConfig
from models.sentiment.network import Network, chance
from models.sentiment.train import Settings, encode, gather, train, window
from tests.conftest import CELLS, REVIEWS, make_sentiment

pytestmark = pytest.mark.usefixtures("cpu")
TEXT = [7, 3, 9, 12, 5, 20, 8]
KINDS = [(cell, both, layers) for cell in CELLS for both in (False, True) for layers in (1, 2)]


@pytest.fixture(params=KINDS, ids=lambda p: f"{p[0]}-{1 + p[1]}way-{p[2]}")
def net(request: pytest.FixtureRequest, tmp_path: Path) -> Network:
    cell, both, layers = request.param
    return Network(make_sentiment(tmp_path / "net", cell=cell, bidirectional=both, layers=layers))


def ends(net: Network, ids: list[int]) -> list[np.ndarray]:
    """The last top state of every direction, tick by tick."""
    out = []
    for direction in net.layers:
        state = net.zero(direction)
        for id_ in ids if direction == "forwards" else ids[::-1]:
            state = net.tick(id_, state, direction).state
        out.append(state[-1].h)
    return out


# ---- the network ------------------------------------------------------------------------


def test_ticks_equal_the_module(net: Network) -> None:
    for ids in ([4], TEXT, TEXT[::-1] * 3):
        assert net.verdict(*ends(net, ids)) == pytest.approx(chance(net.odds([ids]))[0], abs=1e-5)


def test_a_text_has_the_same_logits_in_any_company(net: Network) -> None:
    rows = [TEXT, [], [4], TEXT * 4]
    together = net.logits(rows)
    for row, logits in zip(rows, together, strict=True):
        np.testing.assert_allclose(net.logits([row])[0], logits, atol=1e-5)
    assert not together[1].any()


def test_the_temperature_softens_and_turns_nothing(tmp_path: Path) -> None:
    net = Network(make_sentiment(tmp_path / "net"))
    before = net.odds([TEXT])
    net.config["temperature"] *= 2
    np.testing.assert_allclose(net.odds([TEXT]), before / 2)


def test_the_cell_written_out_is_pytorchs() -> None:
    torch.manual_seed(2)
    cell = torch.nn.LSTMCell(5, 7)
    x, state = torch.randn(3, 5), (torch.randn(3, 7), torch.randn(3, 7))
    weights = (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
    for ours, theirs in zip(lstm_cell(x, state, *weights), cell(x, state), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_curve_ends_in_the_verdict(net: Network) -> None:
    curve = after_every_word(net, TEXT)
    assert curve[-1] == pytest.approx(net.odds([TEXT])[0], abs=1e-5)
    assert curve[2] == pytest.approx(net.odds([TEXT[:3]])[0], abs=1e-5)


def test_leaving_a_word_out_is_the_difference_of_two_verdicts(net: Network) -> None:
    words = [[7], [3, 9], [12], [5, 20, 8]]
    effects = left_out(net, words)
    assert effects[1] == pytest.approx(net.odds([TEXT])[0] - net.odds([[7, 12, 5, 20, 8]])[0], abs=1e-5)
    assert len(effects) == 4


def test_gradient_times_input_is_a_finite_difference(net: Network) -> None:
    effects = gradients(net, TEXT).effects
    weight = net.module.double().embedding.weight.data
    at, small = 2, 1e-4
    row = weight[TEXT[at]].clone()
    odds = []
    for factor in (1 + small, 1 - small):
        weight[TEXT[at]] = row * factor
        logits = net.module(torch.tensor([TEXT]), torch.tensor([len(TEXT)])).logits[0]
        odds.append((logits[1] - logits[0]).item() / net.config["temperature"])
    assert TEXT.count(TEXT[at]) == 1
    assert effects[at] == pytest.approx((odds[0] - odds[1]) / (2 * small), abs=1e-4)


def test_the_pull_of_a_state_is_a_finite_difference(tmp_path: Path) -> None:
    for cell in CELLS:
        net = Network(make_sentiment(tmp_path / cell, cell=cell))
        pulls = gradients(net, TEXT).pulls

        def odds(at: int, shift: np.ndarray, net: Network = net) -> float:
            state = net.zero()
            for t, id_ in enumerate(TEXT):
                state = net.tick(id_, state).state
                if t == at:
                    state = [state[0]._replace(h=state[0].h + shift)]
            p = net.verdict(state[0].h)
            return float(np.log(p / (1 - p)))

        for at in (1, len(TEXT) - 1):
            steps = 1e-2 * np.eye(6, dtype=np.float32)
            slopes = [(odds(at, step) - odds(at, -step)) / 2e-2 for step in steps]
            assert pulls[at] == pytest.approx(np.linalg.norm(slopes), rel=2e-2, abs=1e-4)


def test_only_an_lstm_has_a_cell_to_pull_at(net: Network) -> None:
    found = gradients(net, TEXT)
    assert (found.cell_pulls is None) == (net.config["cell"] != "lstm")
    last = net.head[1] - net.head[0]
    assert net.config["bidirectional"] or found.pulls[-1] == pytest.approx(
        np.linalg.norm(last) / net.config["temperature"], rel=1e-4
    )


# ---- the bag ----------------------------------------------------------------------------


def test_the_bag_says_what_the_regression_says(tmp_path: Path) -> None:
    sklearn = pytest.importorskip("sklearn.feature_extraction.text")
    tokenizer = chinese_tokenizer(REVIEWS * 3, 100)
    stored = fit(tokenizer, list(REVIEWS), [1, 1, 1, 0])
    from safetensors.numpy import save_file

    save_file(stored, tmp_path / "bag.safetensors")
    vectors = sklearn.TfidfVectorizer(analyzer=str.split, vocabulary={str(i): i for i in range(len(stored["idf"]))})
    vectors.fit(as_ids(tokenizer, list(REVIEWS)))
    for text in REVIEWS:
        expected = vectors.transform(as_ids(tokenizer, [text])) @ stored["weight"] + stored["bias"]
        assert Bag(tmp_path).odds(tokenizer.encode(text).ids)[-1] == pytest.approx(expected[0], abs=1e-4)


def test_to_a_bag_the_order_is_nothing(tmp_path: Path) -> None:
    bag = Bag(make_sentiment(tmp_path / "net"))
    assert bag.odds(TEXT)[-1] == pytest.approx(bag.odds(TEXT[::-1])[-1])


# ---- tokens -----------------------------------------------------------------------------

SHORT = ["don't", "don’t", "do n't", "can't", "ca n't", "cannot", "won't", "isn't", "ain't", "DIDN'T"]


@pytest.mark.parametrize("short", SHORT)
def test_every_short_form_is_the_word_not(short: str) -> None:
    letters = [prefix + chr(97 + i) for i in range(26) for prefix in ("", "##")]
    tokenizer = word_pieces([*letters, "not", "do", "can", "will", "is", "did", "it"])
    tokens = tokenizer.encode(f"{short} it<br />").tokens
    assert tokens[-2:] == ["not", "it"]
    assert "'" not in tokens
    assert len(tokens) == 3


def test_chinese_pieces_are_short_and_lose_nothing() -> None:
    tokenizer = chinese_tokenizer(REVIEWS * 5, 200)
    assert all(len(piece) <= 4 for piece in tokenizer.get_vocab() if not piece.startswith("["))
    assert "".join(tokenizer.encode(REVIEWS[1]).tokens) == REVIEWS[1].replace("，", ",")


def test_piece_dropout_changes_pieces_and_not_the_text() -> None:
    tokenizer = chinese_tokenizer(REVIEWS * 5, 200)
    plain = encode(tokenizer, list(REVIEWS))
    dropped = encode(tokenizer, list(REVIEWS), 0.9)
    assert [len(ids) for ids in dropped] > [len(ids) for ids in plain]
    assert tokenizer.model.dropout is None


def test_sentences_end_where_they_end() -> None:
    assert split_sentences("Good. Bad! So-so? 好。差！") == ["Good.", "Bad!", "So-so?", "好。", "差！"]


# ---- rows, scores, calibration ----------------------------------------------------------


def write(path: Path, rows: list[dict], zipped: bool = False) -> Path:
    raw = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()
    path.write_bytes(gzip.compress(raw) if zipped else raw)
    return path


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("column", ["sentence", "text"])
def test_rows_are_read_in_the_public_formats(tmp_path: Path, column: str, zipped: bool) -> None:
    path = write(tmp_path / "rows", [{column: "a\u2028b", "label": 1}, {column: "c", "label": 0.25}], zipped)
    assert read_rows(path) == [Row("a\u2028b", 1.0), Row("c", 0.25)]


def test_a_tenth_is_held_out_and_never_trained_on(tmp_path: Path) -> None:
    rows = [{"text": f"review {i}", "label": i % 2} for i in range(400)]
    (tmp_path / "imdb").mkdir()
    path = write(tmp_path / "imdb" / "train.jsonl", rows)
    kept = set(gather([str(path)])[0])
    out = {row.text for row in read_rows(path) if held_out(row)}
    assert 20 <= len(out) <= 60
    assert kept == {row["text"] for row in rows} - out


def test_evaluate_counts_right(tmp_path: Path) -> None:
    folder = make_sentiment(tmp_path / "net", "zh")
    net = Network(folder)
    labels = [int(net.odds([net.tokenizer.encode(text).ids])[0] > 0) for text in REVIEWS]
    labels[0] = 1 - labels[0]
    rows = [{"text": text, "label": label} for text, label in zip(REVIEWS, labels, strict=True)]
    told = evaluate(folder, write(tmp_path / "rows.gz", rows, zipped=True))
    assert (told["accuracy"], told["rows"], told["device"]) == (0.75, 4, "cpu")
    assert set(told) == {"accuracy", "f1", "calibration_error", "rows", "seconds", "device"}


def test_f1_and_calibration_error_by_hand() -> None:
    said, label = np.array([0.9, 0.9, 0.2, 0.6]), np.array([1, 0, 0, 0])
    assert scores(said, label)["f1"] == pytest.approx(2 * 1 / (3 + 1))
    assert calibration_error(said, label) == pytest.approx((abs(1.8 - 1) + abs(0.8 - 1) + abs(0.6 - 0)) / 4)


def test_a_temperature_that_made_the_labels_is_found_again() -> None:
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 3, 20_000)
    label = rng.random(20_000) < chance(odds / 2)
    logits = np.stack([np.zeros_like(odds), odds], 1).astype(np.float32)
    assert calibrate.best_temperature([(logits, label)]) == pytest.approx(2, rel=0.05)


# ---- training ---------------------------------------------------------------------------


def trained(folder: Path, data: Path, epochs: int) -> Callable[[], dict[str, torch.Tensor]]:
    config = {"language": "zh", "embedding_size": 4, "hidden_size": 4}
    tokenizer: Tokenizer = chinese_tokenizer(REVIEWS * 3, 100)
    return lambda: train(
        folder, [str(data)], [], dict(config), Settings(epochs=epochs, rate=0.02), tokenizer
    ).state_dict()


def test_a_run_learns_and_resumes_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"text": REVIEWS[i % 4], "label": [1, 1, 0.8, 0][i % 4]} for i in range(40)]
    data = write(tmp_path / "rows.jsonl", rows)
    whole = trained(tmp_path / "a", data, 3)()
    stopped = trained(tmp_path / "b", data, 3)
    from models.training import Run

    saved = Run.save

    def save_once(self: Run, path: Path) -> None:
        saved(self, path)
        if self.epoch == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(Run, "save", save_once)
    with pytest.raises(KeyboardInterrupt):
        stopped()
    monkeypatch.setattr(Run, "save", saved)
    again = stopped()
    for name, tensor in whole.items():
        torch.testing.assert_close(again[name], tensor)
    assert Network(tmp_path / "b").config["language"] == "zh"


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_reader_guesses_the_next_word_in_its_own_direction(
    bidirectional: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrain, "RANDOM", 0)
    torch.manual_seed(3)
    sizes = {"vocab_size": 9, "embedding_size": 4, "hidden_size": 5}
    reader = pretrain.Reader(SentimentConfig(cell="gru", bidirectional=bidirectional, **sizes)).eval()
    rows = [[2, 7, 7, 5, 1], [3, 2, 5]]
    ids, lengths = torch.tensor([rows[0], [*rows[1], 0, 0]]), torch.tensor([5, 3])
    words = sorted({0, 1, 2, 3, 5, 7})
    nats = []
    for layers, turn in [(reader.forwards, 1), (reader.backwards, -1)][: 1 + bidirectional]:
        guesses = []
        for row in (r[::turn] for r in rows):
            states = reader.read(layers, reader.embedding(torch.tensor([row])))[0]
            logits = reader.guess(states) @ reader.embedding.weight[words].T
            guesses += [-logits[t].log_softmax(0)[words.index(row[t + 1])] for t in range(len(row) - 1)]
        nats.append(torch.stack(guesses).mean())
    torch.testing.assert_close(reader.nats(ids, lengths), torch.stack(nats).mean())


def test_training_begins_with_what_was_read(tmp_path: Path) -> None:
    data = write(tmp_path / "rows.jsonl", [{"text": text, "label": 1} for text in REVIEWS * 10])
    tokenizer: Tokenizer = chinese_tokenizer(REVIEWS * 3, 100)
    config = {"language": "zh", "embedding_size": 4, "hidden_size": 4}
    settings = Settings(epochs=2, rate=0.02)
    pretrain.pretrain(tmp_path / "read", [str(data)], config | {"bidirectional": True}, settings, tokenizer)
    settings = Settings(epochs=0, start=str(tmp_path / "read"))
    net = train(tmp_path / "net", [str(data)], [], dict(config), settings, tokenizer)
    stored = load_file(tmp_path / "read" / "model.safetensors")
    for name in ("embedding.weight", "forwards.0.cell.weight_hh_l0"):
        torch.testing.assert_close(net.state_dict()[name], stored[name].float())


def test_an_average_lies_between_two_networks(tmp_path: Path) -> None:
    a, b = (make_sentiment(tmp_path / cell, cell="gru", layers=layers) for cell, layers in (("a", 1), ("b", 1)))
    weights = load_file(b / "model.safetensors")
    save_file({k: v + 1 for k, v in weights.items()}, b / "model.safetensors", metadata={"format": "pt"})
    average(a, b, 0.25, tmp_path / "c")
    between = load_file(tmp_path / "c" / "model.safetensors")
    for name, start in load_file(a / "model.safetensors").items():
        torch.testing.assert_close(between[name], start + 0.25, atol=2e-3, rtol=2e-3)
    assert np.isfinite(Network(tmp_path / "c").odds([TEXT])).all()


def test_of_a_long_text_a_window_is_read_most_often_its_end() -> None:
    rng, ids = np.random.default_rng(0), list(range(100))
    windows = [window(ids, 10, rng) for _ in range(200)]
    assert all(row == list(range(row[0], row[0] + 10)) for row in windows)
    assert 80 <= sum(row[-1] == 99 for row in windows) <= 140
    assert window(ids[:7], 10, rng) == ids[:7]


@pytest.mark.parametrize(("language", "bad"), [("en", "not good at all"), ("zh", "不好吃")])
def test_made_sentences_repeat_and_are_balanced(language: str, bad: str) -> None:
    rows = list(made.make(language, 3000))
    assert rows == list(made.make(language, 3000))
    labels = np.array([label for _, label in rows])
    assert 0.35 < (labels > 0.5).mean() < 0.5
    assert 0.35 < (labels < 0.5).mean() < 0.5
    assert not any("{" in text for text, _ in rows)
    assert all(label < 0.5 for text, label in rows if text == bad)


def test_what_comes_after_but_counts() -> None:
    rows = [Row("味道不错", 0.98), Row("太贵了！", 0.03), Row("一般", 0.5), Row("很" * 30, 0.99)]
    made_up = list(made.contrasts(rows, "zh", 200))
    assert {label > 0.5 for _, label in made_up} == {True, False}
    for text, label in made_up:
        assert (text.find("不错") > text.find("太贵")) == (label > 0.5)
        assert "一般" not in text
        assert "很很" not in text
