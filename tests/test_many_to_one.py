"""The many-to-one demo over tiny networks: words, changes, steps, lists."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import models
from demos import listing, many_to_one, sentences
from demos.base import InputError, Step
from demos.many_to_one import DEMO, sentiment
from demos.views.trace import step_line
from models.sentiment.network import chance

pytestmark = pytest.mark.usefixtures("tiny")
TEXT = "The food was not good, but I do."
CHINESE = "味道很好，一点也不难吃。"
each_network = pytest.mark.parametrize("network", sentences.FOLDERS)


def run(text: str = TEXT, **values: Any) -> list[Step]:
    return list(DEMO.steps(**DEMO.check({"text": text, **values})))


def header(text: str = TEXT, **values: Any) -> dict[str, Any]:
    return DEMO.header(**DEMO.check({"text": text, **values}))


def net(network: str = "one_way", language: str = "en") -> Any:
    return models.load(sentences.network_of(language, network))


def shown(steps: list[Step]) -> str:
    return "".join(step.before + step.read for step in steps)


# ---- words ------------------------------------------------------------------------------


def test_a_text_stands_as_it_was_typed() -> None:
    for text in (TEXT, "good\n bad  😀 <script>", "مرحبا good", "a\tb"):
        assert shown(run(text)) == text
    assert shown(run(CHINESE)) == CHINESE


def test_a_short_form_is_shown_as_what_is_read() -> None:
    assert [step.read for step in run("I can't, don't.")] == ["I", "can", "not", ",", "do", "not", "."]


def test_pieces_of_a_word_belong_together() -> None:
    words, unread = sentences.words_of(net(), "a filmed thing")
    assert len(words[0]) == 1
    assert ["".join(token.text for token in word) for word in words] == ["a", "filmed", "thing"]
    assert unread == 0


def test_beyond_the_limit_the_rest_is_counted() -> None:
    told = header("good " * (sentences.MOST + 7))
    assert (told["read"], told["unread"], told["analysed"]) == (sentences.MOST, 34, False)
    steps = run("good " * (sentences.MOST + 7), network="two_way")
    assert len(steps) == sentences.MOST
    assert DEMO.fits(steps)
    assert set(steps[-1].verdicts) == {"network", "bag"}


@given(
    text=st.text(max_size=60),
    change=st.sampled_from(list(sentences.CHANGES)),
    network=st.sampled_from(["one_way", "bilstm"]),
)
def test_any_text_is_read_or_refused_in_words(text: str, change: str, network: str) -> None:
    refused = []
    try:
        steps = run(text, change=change, network=network)
    except InputError as error:
        refused = [error.key]
    assert refused in (["error.no_text"], ["error.no_words"], [])
    assert refused or DEMO.fits(steps)


@pytest.mark.parametrize(
    ("text", "key"), [("", "error.no_text"), (" \n", "error.no_text"), ("?!… 😀", "error.no_words")]
)
def test_nothing_to_read_is_said(text: str, key: str) -> None:
    with pytest.raises(InputError) as raised:
        run(text)
    assert raised.value.key == key


def test_the_language_is_recognised_and_can_be_set() -> None:
    assert header(TEXT)["language"] == "en"
    assert header("OK，很好")["language"] == "zh"
    assert header(CHINESE, language="en")["hints"] == ["hint.strange"]
    assert header(TEXT)["hints"] == []


# ---- changes ----------------------------------------------------------------------------


@pytest.mark.parametrize("text", [TEXT, CHINESE])
def test_shuffled_and_reversed_are_the_same_words_and_the_bag_cannot_tell(text: str) -> None:
    typed = [step.read for step in run(text)]
    for change in ("shuffled", "reversed"):
        told, steps = header(text, change=change), run(text, change=change)
        assert sorted(step.read for step in steps) == sorted(typed)
        assert told["before"]["text"] == text
        assert told["before"]["verdicts"]["bag"] == pytest.approx(steps[-1].verdicts["bag"], abs=1e-6)
    assert shown(run(text, change="shuffled")) == shown(run(text, change="shuffled"))


def test_reversed_twice_is_as_typed() -> None:
    words, _ = sentences.words_of(net(), TEXT)
    again = sentences.reversed_(sentences.reversed_(words, "en"), "en")
    assert sentences.ids_of(again) == sentences.ids_of(words)


def test_the_strongest_word_is_dropped() -> None:
    steps = run()
    strongest = max(steps, key=lambda step: abs(step.effects["left_out"]))
    kept = [step.read for step in run(change="dropped")]
    assert len(kept) == len(steps) - 1
    assert kept == [step.read for step in steps if step is not strongest]
    assert len(run("good", change="dropped")) == 1


@pytest.mark.parametrize(
    ("text", "negated"),
    [
        ("It is good.", "It is not good."),
        ("It is not good.", "It is good."),
        ("good food", "not good food"),
    ],
)
def test_negation_adds_one_or_takes_one_away(text: str, negated: str) -> None:
    assert shown(run(text, change="negated")).strip() == negated


def test_chinese_is_negated_too() -> None:
    assert "不" in shown(run("味道很好", change="negated"))


@pytest.mark.parametrize("count", [1, 17, 100])
@pytest.mark.parametrize("text", [TEXT, CHINESE])
def test_fillers_stand_behind_the_text(text: str, count: int) -> None:
    plain, filled = run(text), run(text, fillers=count)
    assert [step.read for step in filled[: len(plain)]] == [step.read for step in plain]
    assert len(filled) >= len(plain) + count


# ---- steps ------------------------------------------------------------------------------


@each_network
@pytest.mark.parametrize("text", [TEXT, CHINESE, "good"])
def test_the_verdict_is_the_modules(network: str, text: str) -> None:
    steps = run(text, network=network)
    own = net(network, "zh" if text == CHINESE else "en")
    expected = chance(own.odds([own.tokenizer.encode(text).ids]))[0]
    positive = {c.token: c.probability for c in steps[-1].candidates}["positive"]
    assert positive == pytest.approx(expected, abs=1e-5)
    assert steps[-1].verdicts["network"] == pytest.approx(expected, abs=1e-5)
    assert steps[-1].written == ("positive" if expected >= 0.5 else "negative")
    assert all(step.written is None for step in steps[:-1])


@each_network
def test_a_unit_can_be_done_again_by_hand_in_both_directions(network: str) -> None:
    steps, inputs = run(network=network), DEMO.check({"text": TEXT, "network": network})
    rows = len(steps[0].state)
    for t, row in itertools.product((0, 3, len(steps) - 1), range(rows)):
        told = DEMO.numbers(inputs, t, row, 2)
        before = t + 1 if row else t - 1
        known = steps[before].state[row, 2] if 0 <= before < len(steps) else 0
        assert told["h_before"] == pytest.approx(float(known), abs=1e-6)
        assert told["h"] == pytest.approx(float(steps[t].state[row, 2]), abs=1e-6)


def test_the_backward_row_reads_from_the_end() -> None:
    own, steps = net("two_way"), run(network="two_way")
    state = own.zero("backwards")
    for id_, step in zip(own.tokenizer.encode(TEXT).ids[::-1], steps[::-1], strict=True):
        state = own.tick(id_, state, "backwards").state
        np.testing.assert_allclose(step.state[1], state[0].h[0], atol=1e-6)


def test_all_pieces_of_a_word_carry_its_effect() -> None:
    words, _ = sentences.words_of(net(), "a filmed thing")
    assert max(map(len, words)) > 1
    steps = iter(run("a filmed thing"))
    for word in words:
        effects = [next(steps).effects for _ in word]
        assert all(effect == effects[0] for effect in effects)


def test_all_readers_and_cells_are_measured() -> None:
    for step in run():
        assert set(step.verdicts) == {"network", "bag", "rnn", "gru", "lstm", "bilstm"}
        assert set(step.pulls) == {"rnn", "gru", "lstm", "lstm_c", "bilstm"}
        assert set(step.effects) == {"left_out", "gradient"}
        assert '"v":{' in step_line(step)


def test_the_header_tells_what_the_drawing_needs() -> None:
    told = header(network="two_way", change="reversed")
    assert (told["directions"], told["layers"], told["sizes"]) == (2, 1, [5, 6, 2])
    assert told["names"] == {"positive": "verdict.positive", "negative": "verdict.negative"}
    assert header()["before"] is None


# ---- lists ------------------------------------------------------------------------------


def test_one_text_and_a_list_agree() -> None:
    texts = [TEXT, "", CHINESE, "!!!"]
    rows = next(iter(sentiment(texts)))["results"]
    assert [row["text"] for row in rows] == texts
    assert [row["label"] is None for row in rows] == [False, True, False, True]
    assert rows[0] == next(iter(sentiment(TEXT)))
    assert rows[2]["language"] == "zh"


def test_a_list_in_portions_is_the_list_in_one() -> None:
    texts = [f"good {i} bad" for i in range(listing.PORTION + 5)]
    rows = list(listing.verdicts(texts, "auto", "one_way"))
    assert [row["text"] for row in rows] == texts
    for i in (0, listing.PORTION, len(texts) - 1):
        assert rows[i] == next(listing.verdicts([texts[i]], "auto", "one_way"))


@pytest.mark.parametrize("texts", [["a"] * (listing.MOST + 1), [1], "text", None])
def test_what_is_no_list_of_texts_is_refused(texts: Any) -> None:
    with pytest.raises(InputError):
        list(listing.verdicts(texts, "auto", "one_way"))


@pytest.mark.parametrize(
    ("name", "raw", "texts"),
    [
        ("a.txt", "一\n\n two \r\nthree".encode(), ["一", "two", "three"]),
        ("a.csv", b'id,text\n1,"a, b\nc"\n2,d', ["a, b\nc", "d"]),
        ("a.csv", "编号;评论\n1;好\n2;差".encode("gb18030"), ["好", "差"]),
        ("a.tsv", "1\tshort\n2\ta longer cell".encode("utf-16"), ["short", "a longer cell"]),
        ("a.csv", "\ufeffsentence\nx\ny".encode(), ["x", "y"]),
        ("a.csv", b"", []),
    ],
)  # fmt: skip
def test_texts_are_found_in_files(tmp_path: Path, name: str, raw: bytes, texts: list[str]) -> None:
    (tmp_path / name).write_bytes(raw)
    assert listing.from_file(str(tmp_path / name)) == texts


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9, "error.binary"),
        (b"PK\x03\x04 not a text", "error.spreadsheet"),
        (b"a" * (listing.BYTES + 1), "error.file_too_large"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, raw: bytes, key: str) -> None:
    (tmp_path / "a.csv").write_bytes(raw)
    with pytest.raises(InputError) as raised:
        listing.from_file(str(tmp_path / "a.csv"))
    assert raised.value.key == key


def test_a_formula_stays_a_text_and_the_distribution_counts_all() -> None:
    rows = list(listing.verdicts(["=1+1 good", "@x bad", "", "fine"], "en", "one_way"))
    table = listing.to_csv(rows)
    assert "\n'=1+1 good," in table.replace("\r", "")
    assert "\n'@x bad," in table.replace("\r", "")
    assert sum(listing.distribution(rows)) == 3


def test_the_demo_is_declared() -> None:
    assert (DEMO.pattern, DEMO.view, DEMO.many) == ("R*B", "verdict", True)
    assert many_to_one.sentiment is DEMO.api["sentiment"]
