"""The teacher of the English sentiment networks: a tiny random transformer learns, and labels."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from models.sentiment import teacher
from models.sentiment.data import Row, held_out, read_rows

WORDS = ["good", "bad", "film", "a", "the", "was", "not", "very", "it", "and", "."]


@pytest.fixture
def minilm(tmp_path: Path) -> Path:
    folder = tmp_path / "minilm"
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=5 + len(WORDS), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    BertTokenizerFast(vocab={word: i for i, word in enumerate(vocabulary)}).save_pretrained(folder)
    return folder


def make_rows(count: int) -> list[Row]:
    """The word good or bad in between others, and which of the two."""
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=count)
    around = [" ".join(rng.choice(WORDS[2:], 4)) for _ in labels]
    return [Row(f"{text} {('bad', 'good')[label]} .", float(label)) for text, label in zip(around, labels, strict=True)]


def test_it_learns_what_it_is_told_and_keeps_it(minilm: Path, tmp_path: Path) -> None:
    rows = make_rows(300)
    pupil = teacher.Teacher(minilm).to(teacher.DEVICE).train()
    labels = np.float32([row.label for row in rows])
    run = teacher.Run(epochs=8, rate=5e-3, tokens=300, seed=1)
    teacher.train(pupil, [row.text for row in rows], labels, np.ones(len(rows)), run)
    pupil.save(tmp_path / "taught")
    found = teacher.judge(teacher.Teacher(tmp_path / "taught").to(teacher.DEVICE), [row.text for row in rows])
    assert ((found > 0) == [row.label for row in rows]).mean() == 1
    assert np.allclose(found, teacher.judge(pupil, [row.text for row in rows]), atol=0.05)


def test_a_masked_word_is_guessed_from_the_others(
    minilm: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Two sentences that differ in every word: who sees one word knows the rest."""
    losses = []
    monkeypatch.setattr(teacher, "descend", lambda parameters, found, *_: losses.extend(step(parameters, found)))

    def step(parameters: list[torch.nn.Parameter], found: object) -> list[float]:
        optimiser, seen = torch.optim.Adam(parameters, 5e-3), []
        for _, loss in found:
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            seen.append(loss.item())
        return seen

    texts = ["good film good film good film good film good", "the bad was the bad was the bad was"] * 20
    reader = teacher.Teacher(minilm).to(teacher.DEVICE).train()
    teacher.read(reader, texts, teacher.Run(epochs=60, rate=5e-3, tokens=500, seed=1))
    assert np.mean(losses[-20:]) < 0.5 * np.mean(losses[:5])


def test_several_teachers_label_by_their_mean(minilm: Path, tmp_path: Path) -> None:
    both = [teacher.Teacher(minilm).to(teacher.DEVICE) for _ in range(2)]  # their last layers differ by chance
    texts = ["good film", "a very bad film .", "it was not good"]
    teacher.label(both, {"few": texts}, tmp_path / "out")
    rows = read_rows(tmp_path / "out" / "few.jsonl.gz")
    mean = np.mean([teacher.judge(one, texts) for one in both], 0)
    assert [row.text for row in rows] == texts
    assert np.allclose([row.label for row in rows], 1 / (1 + np.exp(-mean)), atol=1e-4)


def test_no_text_that_networks_are_scored_on_is_labelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher, "DISTURBED", 50)
    reviews = [Row(f"The film number {n} was very good. I liked it a lot.", 1.0) for n in range(60)]
    phrases = [Row(f"a film as good as number {n} of the whole bad series of films", 1.0) for n in range(20)]
    for name, rows in (("imdb", reviews), ("sst2", phrases)):
        with gzip.open(tmp_path / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row._asdict()) + "\n" for row in rows)
    found = teacher.unlabelled(tmp_path / "sst2.jsonl.gz", tmp_path / "imdb.jsonl.gz")
    kept, hidden = ([row.text.split(". ")[0] + "." for row in reviews if held_out(row) is is_] for is_ in (False, True))
    assert hidden
    assert not set(hidden) & set(found["sentences"])
    assert set(kept) <= set(found["sentences"])
    assert len(found["phrases"]) > 20
    assert len(found["long"]) > 20
