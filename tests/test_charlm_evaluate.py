"""Scores: the evaluation against a computation by hand, tick by tick."""

import json
import math
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from models.charlm import evaluate as evaluation
from models.charlm.data import END, FORMS, OTHER, poem_ids
from models.charlm.evaluate import evaluate, markdown, sample_poems, share_in_form
from models.charlm.network import Network
from tests.conftest import CELLS, CHINESE, ENGLISH, POEM, MakeNetwork

pytestmark = pytest.mark.usefixtures("cpu")

TEXT = "O, the torches teach ROMEO:\nto burn? What's that #?"
POEMS = [POEM, "床前明月光，", "春眠不觉晓處，處處闻啼鸟。\n夜來风雨声，花落知多少。"]
KEYS = {"nats_per_char", "bits_per_char", "perplexity", "characters", "seconds", "device"}


def nats_by_ticks(network: Network, ids: Iterable[int]) -> float:
    """-log p of all tokens after the first, in double precision."""
    state, total, belief = network.zero(), 0.0, None
    for i in ids:
        if belief is not None:
            total -= belief[i]
        logits, state, _ = network.tick([i], state)
        z = logits[0].astype(np.float64)
        belief = z - z.max() - np.log(np.exp(z - z.max()).sum())
    return total


def write_poems(path: Path, poems: list[str]) -> Path:
    path.write_text("\n".join(json.dumps({"paragraphs": poem.split("\n")}) for poem in poems), "utf-8")
    return path


def test_nats_are_those_of_the_ticks(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text(TEXT, "utf-8")
    network = Network(folder)
    ids = [network.tokenizer.token_to_id(c) or 0 for c in TEXT]
    scores = evaluate(folder, tmp_path / "text")
    assert scores["characters"] == len(TEXT) - 1
    assert scores["nats_per_char"] == pytest.approx(nats_by_ticks(network, ids) / (len(TEXT) - 1), rel=1e-5)


def test_bits_and_perplexity_follow_from_nats(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text(TEXT, "utf-8")
    scores = evaluate(folder, tmp_path / "text")
    assert scores["bits_per_char"] == pytest.approx(scores["nats_per_char"] * math.log2(math.e))
    assert scores["perplexity"] == pytest.approx(2 ** scores["bits_per_char"])


@pytest.mark.parametrize("cell", CELLS)
def test_pieces_carry_the_state(
    cell: str, make_network: MakeNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_network(cell=cell)
    (tmp_path / "text").write_text(TEXT, "utf-8")
    whole = evaluate(folder, tmp_path / "text")["nats_per_char"]
    for piece in (1, 7, len(TEXT) - 1, len(TEXT)):
        monkeypatch.setattr(evaluation, "PIECE", piece)
        assert evaluate(folder, tmp_path / "text")["nats_per_char"] == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize(("corpus", "share"), [("shakespeare", 0.9), ("hongloumeng", 0.95)])
def test_of_the_training_file_only_the_held_out_part_is_scored(
    corpus: str, share: float, make_network: MakeNetwork, tmp_path: Path
) -> None:
    text = (ENGLISH if corpus == "shakespeare" else POEM.replace("\n", "")) * 9 + "\n"
    folder = make_network(corpus=corpus, texts=(text,), corpus_characters=len(text))
    held_out, longer = text[int(len(text) * share) :], text[:-1] * 2 + "\n"
    scores = {}
    for name, content in {"whole": text, "part": held_out, "other": longer}.items():
        (tmp_path / name).write_text(content, "utf-8")
        scores[name] = evaluate(folder, tmp_path / name)
    assert scores["whole"]["characters"] == scores["part"]["characters"] == len(held_out) - 1
    assert scores["whole"]["nats_per_char"] == scores["part"]["nats_per_char"]
    assert scores["other"]["characters"] == len(longer) - 1


@pytest.fixture
def poets(make_network: MakeNetwork, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(evaluation, "POEMS", 8)
    return make_network(corpus="tang", cell="gru", texts=(CHINESE,))


def test_poems_cost_their_breaks_and_end_but_count_their_characters(poets: Path, tmp_path: Path) -> None:
    network = Network(poets)
    normal = [poem.replace("來", "来") for poem in POEMS]
    nats = sum(nats_by_ticks(network, poem_ids(poem, network.tokenizer)) for poem in normal)
    scores = evaluate(poets, write_poems(tmp_path / "poems", POEMS))
    assert scores["characters"] == sum(len(poem) - poem.count("\n") for poem in POEMS) == 24 + 6 + 25
    assert scores["nats_per_char"] == pytest.approx(nats / 55, rel=1e-5)


def test_poems_side_by_side_cost_what_they_cost_alone(
    poets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_poems(tmp_path / "poems", POEMS * 4)
    together = evaluate(poets, path)["nats_per_char"]
    for piece in (1, 60):
        monkeypatch.setattr(evaluation, "PIECE", piece)
        assert evaluate(poets, path)["nats_per_char"] == pytest.approx(together, rel=1e-6)


def test_a_poem_is_read_after_its_form(poets: Path) -> None:
    tokenizer = Network(poets).tokenizer
    firsts = [tokenizer.id_to_token(poem_ids(poem, tokenizer)[0]) for poem in POEMS]
    assert firsts == ["[五绝]", OTHER, OTHER]


class Reciter:
    """A network that recites one poem in each of its streams, whatever it is asked for."""

    def __init__(self, poem: str) -> None:
        self.tokens = [END, *FORMS, *dict.fromkeys(poem)]
        self.tokenizer = self
        self.poem = [*poem, END]

    def token_to_id(self, token: str) -> int:
        return self.tokens.index(token)

    def zero(self, batch: int) -> int:
        return 0

    def tick(self, ids: list[int], state: int) -> tuple[np.ndarray, int, None]:
        logits = np.full((len(ids), len(self.tokens)), -1e9)
        logits[:, self.tokens.index(self.poem[min(state, len(self.poem) - 1)])] = 0
        return logits, state + 1, None


def test_sampled_poems_end_at_the_end() -> None:
    poems = list(sample_poems(Reciter(POEM), "[五绝]", 3, np.random.default_rng(0)))
    assert poems == [POEM] * 3


def test_share_in_form_counts_each_form_alike() -> None:
    assert share_in_form(Reciter(POEM)) == 0.25
    assert share_in_form(Reciter(POEM[:-1])) == 0


def test_share_in_form_is_repeatable_and_part_of_the_score(poets: Path, tmp_path: Path) -> None:
    scores = evaluate(poets, write_poems(tmp_path / "poems", POEMS))
    assert set(scores) == KEYS | {"form"}
    assert scores["form"] == share_in_form(Network(poets))


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["evaluate", *map(str, arguments)])
    evaluation.main()


def test_last_line_of_output_is_one_json_object(
    make_network: MakeNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text").write_text(TEXT, "utf-8")
    run_main(monkeypatch, make_network(), "--data", tmp_path / "text")
    scores = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(scores) == KEYS
    assert scores["characters"] == len(TEXT) - 1
    assert scores["device"] == "cpu"
    assert scores["seconds"] > 0


def test_a_network_is_found_by_its_name(
    tiny_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text").write_text(TEXT, "utf-8")
    monkeypatch.setattr(evaluation, "HERE", tiny_root / "charlm")
    run_main(monkeypatch, "shakespeare", "--data", tmp_path / "text")
    named = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert named["nats_per_char"] == evaluate(tiny_root / "charlm" / "shakespeare", tmp_path / "text")["nats_per_char"]


def test_scores_are_saved_beside_shipped_weights_and_in_the_card(
    make_network: MakeNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "HERE", tmp_path)
    marks = (
        "# Card\n<!-- scores -->\nold\n<!-- end of scores -->\nbetween\n<!-- cells -->\n<!-- end of cells -->\nend\n"
    )
    (tmp_path / "README.md").write_text(marks)
    (tmp_path / "text").write_text(TEXT, "utf-8")
    shipped = make_network(cell="gru")
    (tmp_path / "runs").mkdir()
    elsewhere = make_network(cell="rnn").rename(tmp_path / "runs" / "rnn")
    for folder in (shipped, elsewhere):
        run_main(monkeypatch, folder, "--data", tmp_path / "text", "--save")
    kept = json.loads((shipped / "scores.json").read_text())
    assert set(kept) == {"cell", "parameters", "nats_per_char", "bits_per_char", "perplexity", "characters"}
    assert kept["parameters"] == Network(shipped).parameters
    assert set(json.loads((tmp_path / "cells.json").read_text())) == {"rnn"}
    card = (tmp_path / "README.md").read_text()
    assert card.startswith("# Card\n<!-- scores -->\n| network |")
    assert f"`{shipped.name}` | gru | {kept['parameters']:,} | {kept['nats_per_char']:.4f} |" in card
    assert "<!-- end of scores -->\nbetween\n<!-- cells -->\n| trained alike |" in card
    assert card.endswith("|\n<!-- end of cells -->\nend\n")


def test_markdown_is_a_table_with_a_row_each() -> None:
    row = {"cell": "gru", "parameters": 1234567, "nats_per_char": 1.23456, "bits_per_char": 1.78109}
    lines = markdown("network", {"a": row, "b": row | {"form": 0.98765}}).splitlines()
    assert lines[0] == "| network | cell | parameters | nats / character | bits / character | form kept |"
    assert lines[2] == "| `a` | gru | 1,234,567 | 1.2346 | 1.7811 |  |"
    assert lines[3] == "| `b` | gru | 1,234,567 | 1.2346 | 1.7811 | 98.8% |"
    assert {line.count("|") for line in lines} == {7}
    assert markdown("network", {}).count("\n") == 2
