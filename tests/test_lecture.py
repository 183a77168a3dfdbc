"""What a lecturer brings along: the guided experiments and the links, without a browser."""

import json
import tomllib
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import app
from demos import discover, tours
from demos.base import Demo
from demos.text import LANGUAGES, say
from demos.tours import Tour, all_tours
from hosting import guard

DEMOS = {demo.name: demo for demo in discover()}
TOURS = pytest.mark.parametrize("tour", all_tours(), ids=lambda tour: tour.name)


# ---- guided experiments -----------------------------------------------------------------


@TOURS
def test_an_experiment_sets_what_its_page_has(tour: Tour) -> None:
    demo = DEMOS[tour.demo]
    assert set(tour.inputs) <= {i.name for i in demo.inputs if i.place != "hidden"}
    assert demo.check(tour.inputs)
    assert tour.name.startswith(f"{tour.demo}.")


@TOURS
def test_an_experiment_is_told_in_every_language(tour: Tour) -> None:
    for lang in LANGUAGES:
        assert all(tour.said[lang][key] for key in ("title", "see", "try"))
    assert all(any("\u4e00" <= c <= "\u9fff" for c in text) for text in tour.said["zh-CN"].values())


@pytest.mark.parametrize("tab", sorted({demo.tab for demo in DEMOS.values()}))
def test_every_tab_has_three_experiments_at_least(tab: str) -> None:
    assert sum(DEMOS[tour.demo].tab == tab for tour in all_tours()) >= 3


@pytest.mark.weights
@TOURS
def test_an_experiment_runs_to_its_tick(tour: Tour) -> None:
    demo = DEMOS[tour.demo]
    steps = list(demo.steps(**demo.check(tour.inputs)))
    assert demo.fits(steps)
    assert 1 <= (tour.tick or 1) <= len(steps)


@pytest.mark.parametrize(
    "text",
    ["", "demo = 3", "[en]\ntitle = 'a'", "demo = 'many_to_one'\n[en]\ntitle = 1", "not = toml ="],
    ids=["empty", "no words", "half", "a number for a title", "no TOML"],
)
def test_a_spoilt_file_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "many_to_one.9-mine.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=r"many_to_one\.9-mine\.toml"):
        tours.read(path)


WORDS = "".join(f"[{lang}]\ntitle = 'a'\nsee = 'b'\ntry = 'c'\n" for lang in LANGUAGES)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("demo = 'many'\n" + WORDS, "“demo” must be one of one_to_many, "),
        ("demo = ['aligned']\n" + WORDS, "“demo” must be one of"),
        ("demo = 'aligned'\ntik = 3\n" + WORDS, "There is no “tik”; there are demo, tick, set, en, zh-CN."),
        ("demo = 'aligned'\ntick = 0\n" + WORDS, "“tick” must be a whole number from 1 on."),
        ("demo = 'aligned'\nset = 3\n" + WORDS, "[set] must be a table."),
        ("demo = 'aligned'\n[set]\nfiller = 3\n" + WORDS, "aligned has no input “filler”; there are network, text."),
        ("demo = 'many_to_one'\n[set]\nfillers = 300\n" + WORDS, "“fillers” must be a number from 0 to 100."),
        ("demo = 'one_to_many'\n[set]\nphoto = 'unicorn'\n" + WORDS, "There is no example photo of this name."),
        ("demo = 'many_to_many'\n[set]\nwritten = ['a']\n" + WORDS, "many_to_many has no input “written”"),
        ("demo = 'aligned'\n" + WORDS.replace("'c'", "''", 1), "[en] needs a text “try”."),
    ],
)
def test_a_lecturers_mistake_is_told_in_a_sentence_and_costs_one_experiment_only(
    text: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert found_in(tmp_path, text.encode(), monkeypatch) == ["good"]
    assert f"aligned.9-mine.toml: {told}" in caplog.text.replace("[set]: ", "")
    assert all(told in guard.Places().format(record) for record in caplog.records)


def test_a_file_in_another_encoding_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert found_in(tmp_path, f"demo = 'aligned'\n{WORDS}# 词".encode("gbk"), monkeypatch) == ["good"]
    assert "aligned.9-mine.toml: Save it as UTF-8." in caplog.text


def found_in(folder: Path, spoilt: bytes, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The experiments in a folder with a good file and this one."""
    (folder / "good.toml").write_text(f"demo = 'aligned'\n{WORDS}", "utf-8")
    (folder / "aligned.9-mine.toml").write_bytes(spoilt)
    monkeypatch.setattr(tours, "HERE", folder)
    all_tours.cache_clear()
    try:
        return [tour.name for tour in all_tours()]
    finally:
        all_tours.cache_clear()


def test_a_control_is_called_as_on_the_page() -> None:
    mixed = next(tour for tour in all_tours() if tour.name == "one_to_many.4-mixed")
    for lang in LANGUAGES:
        assert f"“{say(lang, 'input.mix')}”" in mixed.said[lang]["try"]
    erased = next(tour for tour in all_tours() if tour.name == "one_to_many.2-erased").said["zh-CN"]
    assert "擦掉" in say("zh-CN", "input.erase")
    assert "擦掉" in erased["title"]
    assert not any("抹" in text for tour in all_tours() for text in tour.said["zh-CN"].values())


@TOURS
def test_an_experiment_opens_the_settings_that_it_sets(tour: Tour) -> None:
    (page,) = (page for page in pages() if page.demo.name == tour.demo)
    advanced = {i.name for i in page.demo.inputs if i.place == "advanced"}
    opened, *values = page.set_up(tour)
    assert opened.get("open", False) is bool(advanced & set(tour.inputs))
    assert len(values) == len(page.controls)


@cache
def pages() -> list[app.Page]:
    """Every tab, laid out."""
    with gr.Blocks():
        return [app.Page(demo, gr.Radio(), app.Words(), app.quietly()) for demo in DEMOS.values()]


def test_a_new_file_is_all_that_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = sorted(tours.HERE.glob("*.toml"))[0].read_text("utf-8")
    (tmp_path / "many_to_one.9-mine.toml").write_text(source, "utf-8")
    monkeypatch.setattr(tours, "HERE", tmp_path)
    all_tours.cache_clear()
    try:
        assert [tour.name for tour in all_tours()] == ["many_to_one.9-mine"]
    finally:
        all_tours.cache_clear()
    assert tomllib.loads(source)["demo"] == "aligned"


# ---- links ------------------------------------------------------------------------------


def picture_of(rows: list[str]) -> Image.Image:
    """A code with its quiet margin, eight pixels a cell."""
    size = len(rows) + 8
    image = Image.new("L", (size, size), 255)
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            image.putpixel((x + 4, y + 4), 0 if cell == "1" else 255)
    return image.resize((8 * size, 8 * size), Image.Resampling.NEAREST)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:7860/?tab=many_to_one&text=%E4%B8%8D", "http://x/?text=" + "a" * 2000, "中文 <b>&"]
)
def test_a_camera_reads_the_code(address: str) -> None:
    rows = json.loads(app.qr(address))["rows"]
    assert zxingcpp.read_barcode(picture_of(rows)).text == address


@given(st.text(max_size=40) | st.integers() | st.none())
def test_whatever_is_asked_for_is_a_square_or_nothing(address: object) -> None:
    rows = json.loads(app.qr(address))["rows"]
    assert all(len(row) == len(rows) and set(row) <= {"0", "1"} for row in rows)


def test_a_link_that_is_too_long_has_no_code() -> None:
    assert json.loads(app.qr("x" * 3000)) == {"rows": []}


@pytest.mark.parametrize("demo", DEMOS.values(), ids=lambda demo: demo.name)
def test_a_link_brings_every_input_back(demo: Demo) -> None:
    """What `lectureLink` writes into an address, `from_link` reads."""
    for tour in [{}, *(t.inputs for t in all_tours() if t.demo == demo.name)]:
        values = demo.check(demo.examples[0] | tour)
        read = {n: app.from_link(demo, n, as_in_a_link(v)) for n, v in values.items() if v != []}
        assert demo.check(read) == values


@pytest.mark.parametrize("demo", DEMOS.values(), ids=lambda demo: demo.name)
def test_what_a_link_leaves_out_comes_back(demo: Demo) -> None:
    """Also where a page fills what is open from an example."""
    defaults = {i.name: i.default for i in demo.inputs}
    for tour in [{}, *(t.inputs for t in all_tours() if t.demo == demo.name)]:
        values = demo.check(demo.examples[0] | tour)
        said = {n: v for n, v in values.items() if n not in app.unsaid(demo) or v != app.unsaid(demo)[n]}
        assert said
        for lang in LANGUAGES:
            filled = app.Page.fitting(SimpleNamespace(demo=demo), said, lang)
            assert demo.check(defaults | filled | said) == values


def as_in_a_link(value: object) -> str:
    return app.SEPARATOR.join(map(str, value)) if isinstance(value, list) else str(value)


@pytest.mark.parametrize("name", ["written", "chosen"])
def test_lists_in_a_link_are_tokens_and_places(name: str) -> None:
    value = {"written": ["a", "\n", "[完]", "不"], "chosen": [0, 17]}[name]
    assert app.from_link(DEMOS["many_to_many"], name, as_in_a_link(value)) == value


@given(st.sampled_from(sorted(DEMOS)), st.data(), st.text(max_size=30))
def test_a_spoilt_link_is_checked_like_any_input(name: str, data: st.DataObject, text: str) -> None:
    demo = DEMOS[name]
    given_ = data.draw(st.sampled_from([i.name for i in demo.inputs]))
    value = app.from_link(demo, given_, text)
    assert isinstance(value, str | int | float | list | tuple)
