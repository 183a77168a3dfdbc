"""The public files as characters."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.charlm.data import (
    END,
    FORMS,
    OTHER,
    UNKNOWN,
    form_of,
    has_form,
    make_tokenizer,
    poem_ids,
    read_book,
    read_poems,
    read_text,
    split,
    tidy_novel,
)
from tests.conftest import POEM


def poem(lines: int, length: int) -> str:
    couplet = f"{'山' * length}，{'水' * length}。"
    return "\n".join([couplet] * (lines // 2))


@pytest.mark.parametrize(
    ("raw", "tidy"),
    [
        ("他说．好,是?不!", "他说。好，是？不！\n"),
        ("甲:乙;丙", "甲：乙；丙\n"),
        ("甲\r\n\r\n  乙\t丙", "甲\n乙丙\n"),
        ("第一回  贾雨村", "第一回　贾雨村\n"),
        ("宝玉\x00abc123笑", "宝玉笑\n"),
        ("`好’", "‘好’\n"),
    ],
)
def test_novel_gets_one_style_of_punctuation(raw: str, tidy: str) -> None:
    assert tidy_novel(raw) == tidy


@pytest.mark.parametrize(
    ("raw", "paired"),
    [
        ('"好"又道"去"', "“好”又道“去”\n"),
        ('“好"又道"去”', "“好”又道“去”\n"),
        ('道"去\n"来"', "道“去\n“来”\n"),  # a new paragraph starts outside
    ],
)
def test_straight_quotes_are_paired(raw: str, paired: str) -> None:
    assert tidy_novel(raw) == paired


@given(st.text('宝玉 　\n\r\t"“”‘’`-。，.,:;a1', max_size=40))
def test_tidying_twice_is_tidying_once(raw: str) -> None:
    once = tidy_novel(raw)
    assert tidy_novel(once) == once


@pytest.mark.parametrize(("token", "form"), FORMS.items())
def test_each_form_is_told_from_the_others(token: str, form: tuple[int, int]) -> None:
    text = poem(*form)
    assert form_of(text) == form_of(text + "\n") == token
    assert [other for other in FORMS.values() if has_form(text, *other)] == [form]


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        poem(2, 5),
        poem(4, 6),
        poem(6, 7),
        poem(4, 5)[:-1],  # no mark at the end
        poem(4, 5).replace("\n", ""),
        poem(4, 5).replace("\n", "\n\n"),
        poem(4, 5) + "\n\n",
        poem(4, 5).replace("山", "a"),
        poem(4, 5).replace("水", UNKNOWN),
        poem(4, 5).replace("，", "、"),
        poem(4, 5).replace("山", "山水", 1),
        poem(4, 5) + "\n" + poem(4, 7),
    ],
)
def test_wrong_forms_have_none(wrong: str) -> None:
    assert form_of(wrong) == OTHER
    assert not any(has_form(wrong, *form) for form in FORMS.values())


def test_any_break_may_close_a_line() -> None:
    assert has_form("白日依山尽？黄河入海流！\n欲穷千里目；更上一层楼。", 4, 5)


def test_tokenizer_knows_what_is_frequent_enough() -> None:
    tokenizer = make_tokenizer(["aab", "bc"], special=(END,), at_least=2)
    assert [tokenizer.id_to_token(i) for i in range(tokenizer.get_vocab_size())] == [UNKNOWN, END, "a", "b"]
    assert tokenizer.encode("abcz").ids == [2, 3, 0, 0]


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_every_character_is_one_token(text: str) -> None:
    known = make_tokenizer([text])
    ids = known.encode(text).ids
    assert "".join(known.id_to_token(i) for i in ids) == text
    assert len(make_tokenizer(["x"]).encode(text).ids) == len(text)


def test_no_character_is_dropped_or_joined() -> None:
    text = " \n\t\r\n\u3000e\u0301\U0001f469\u200d\U0001f680\x00\ufeff[完]"
    tokenizer = make_tokenizer([text], special=(END,))
    assert tokenizer.encode(text).tokens == list(text)


@given(st.integers(0, 5000))
def test_split_is_that_of_nanogpt(n: int) -> None:
    text = "ab" * (n // 2) + "c" * (n % 2)
    assert split(text, "shakespeare") == (text[: int(n * 0.9)], text[int(n * 0.9) :])
    assert len(split(text, "hongloumeng")[0]) == int(n * 0.95)
    assert split(text, "tang") == (text, "")


def test_tiny_shakespeare_is_cut_where_nanogpt_cuts_it() -> None:
    assert len(split("a" * 1115394, "shakespeare")[1]) == 111540


ROWS = [{"paragraphs": POEM.split("\n"), "title": "登鹳雀楼"}, {"paragraphs": []}, {"paragraphs": ["春眠不觉晓，"]}]
FILES: dict[str, Callable[[], bytes]] = {
    "poems.json": lambda: json.dumps(ROWS, ensure_ascii=False, indent=1).encode(),
    "poems.jsonl": lambda: "\n".join(json.dumps(r, ensure_ascii=False) for r in ROWS).encode() + b"\n",
    "poems.jsonl.gz": lambda: gzip.compress("\n".join(map(json.dumps, ROWS)).encode()),
    "windows.jsonl": lambda: "\r\n".join(map(json.dumps, ROWS)).encode(),
}


@pytest.mark.parametrize("name", FILES)
def test_poems_are_read_from_lists_and_lines_gzipped_or_not(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(FILES[name]())
    assert read_poems(path) == [POEM, "春眠不觉晓，"]


def test_poems_may_hold_any_character_of_json(tmp_path: Path) -> None:
    path = tmp_path / "poems.jsonl"
    path.write_text('{"paragraphs":["甲\u2028乙"]}\n', "utf-8")
    assert read_poems(path) == ["甲\u2028乙"]


def test_only_the_novel_is_tidied(tmp_path: Path) -> None:
    path = tmp_path / "book"
    path.write_bytes(gzip.compress("甲.\r\n乙".encode()))
    assert read_book(path, "shakespeare") == read_text(path) == "甲.\r\n乙"
    assert read_book(path, "hongloumeng") == "甲。\n乙\n"


def test_poem_has_its_form_before_and_the_end_after_it() -> None:
    tokenizer = make_tokenizer([POEM], special=(END, OTHER, *FORMS))
    tokens = [tokenizer.id_to_token(i) for i in poem_ids(POEM, tokenizer)]
    assert tokens == ["[五绝]", *POEM, END]
    assert tokenizer.id_to_token(poem_ids("山", tokenizer)[0]) == OTHER
