"""The gallery as strangers and crowds meet it: limits, overload, leaving, stopping, damaged files."""

import asyncio
import base64
import json
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import gradio as gr
import httpx
import pytest
from fastapi.testclient import TestClient
from gradio_client import Client
from gradio_client.exceptions import AppError
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

import app
import models
from demos import discover, limits, photos
from demos.base import InputError
from demos.text import LANGUAGES, say
from hosting import guard
from models import checksums
from tests.serving import ROOT, gallery, packed_inputs, process_of

PHOTO = photos.FOLDER / f"{photos.examples()[0]}.jpg"
CONTINUE = ["ROMEO:\n", "hongloumeng", 5, 0.8, 0, 1.0, 1, "五绝", ""]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with gallery() as address:
        yield address


def join(address: str, data: list[object] = CONTINUE, name: str = "continue", lang: str = "en") -> httpx.Response:
    """Ask for a run; its event's id, or why not."""
    headers = {"accept-language": lang}
    return httpx.post(f"{address}/gradio_api/call/{name}", json={"data": data}, headers=headers, timeout=60)


def last_of(address: str, event: str, name: str = "continue") -> str:
    """The last line of a run's stream."""
    with httpx.stream("GET", f"{address}/gradio_api/call/{name}/{event}", timeout=120) as stream:
        return [line for line in stream.iter_lines() if line][-1]


# ---- limits -----------------------------------------------------------------------------


def test_a_limit_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALLERY_WRITTEN", "77")
    assert limits.from_environment() == limits.Limits(written=77)


@pytest.mark.parametrize("wrong", ["", "many", "-1", "1.5", "1e3", "٣", "9" * 30])
def test_a_limit_that_is_no_number_is_named(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("GALLERY_RUNS", wrong)
    with pytest.raises(SystemExit, match="GALLERY_RUNS"):
        limits.from_environment()


@pytest.mark.parametrize("name", limits.Limits.__dataclass_fields__)
def test_nothing_at_all_is_no_limit_to_work_with(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"GALLERY_{name.upper()}", "0")
    if name in ("rate", "grace"):
        assert getattr(limits.from_environment(), name) == 0
    else:
        with pytest.raises(SystemExit, match=f"GALLERY_{name.upper()} .* from 1"):
            limits.from_environment()


def test_every_limit_is_documented() -> None:
    names = [f"GALLERY_{name.upper()}" for name in limits.Limits.__dataclass_fields__]
    for file in ("README.md", "README.zh-CN.md"):
        text = (ROOT / file).read_text("utf-8")
        assert [name for name in names if name not in text] == []


def test_an_address_has_so_many_requests_in_a_minute() -> None:
    now = [0.0]
    rate = guard.Rate(3, clock=lambda: now[0])
    assert [rate.allows("a") for _ in range(5)] == [True] * 3 + [False] * 2
    assert rate.allows("b")
    now[0] = 61.0
    assert rate.allows("a")


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:0:1:aaaa::1", "20010db800000001::/64"),
        ("2001:db8:0:1:bbbb::2", "20010db800000001::/64"),
        ("2001:db8:0:2::1", "20010db800000002::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_an_address_is_counted_by_its_network(address: str, counted: str) -> None:
    assert guard.network(address) == counted


def test_addresses_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "ADDRESSES", 10)
    now = [0.0]
    rate = guard.Rate(3, clock=lambda: now[0])
    for number in range(100):
        now[0] += 10
        rate.allows(str(number))
    assert len(rate.counts) <= 11


@pytest.mark.parametrize(
    ("cookie", "accepted", "lang"),
    [
        ("", "zh-TW,en", "zh-CN"),
        ("", "de", "en"),
        ("a=1; gallery.lang=zh-CN", "en", "zh-CN"),
        ("gallery.lang=xx", "", "en"),
    ],
)
def test_a_refusal_speaks_the_pages_language(cookie: str, accepted: str, lang: str) -> None:
    headers = [(b"cookie", cookie.encode()), (b"accept-language", accepted.encode())]
    assert guard.language({"headers": headers}) == lang


# ---- bodies -----------------------------------------------------------------------------


def sent(path: str, parts: list[bytes], **headers: str) -> tuple[int, bytes, int]:
    """A request through the guard to a page that reads it to its end: status, answer, and the bytes that it read."""
    read, out = [], []

    async def page(scope: guard.Scope, receive: guard.Receive, send: guard.Send) -> None:
        while (message := await receive())["type"] == "http.request":
            read.append(message["body"])
            if not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"read"})

    async def receive() -> guard.Message:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: guard.Message) -> None:
        out.append(message)

    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": path, "client": ("192.0.2.1", 1), "headers": given}
    asyncio.run(guard.Guard(page)(scope, receive, send))
    return out[0]["status"], out[1]["body"], sum(map(len, read))


@pytest.mark.parametrize("length", ["", "5", str(10**30), "²", "-1"])
def test_a_body_is_read_to_where_it_may_go_whatever_length_it_claims(
    monkeypatch: pytest.MonkeyPatch, length: str
) -> None:
    monkeypatch.setattr(guard, "BODY", 1000)
    status, body, read = sent("/gradio_api/queue/join", [bytes(300)] * 9, content_length=length, accept_language="zh")
    assert (status, json.loads(body)["detail"]) == (413, say("zh-CN", "error.file_too_large", limit=20))
    assert read == (0 if length == str(10**30) else 900)
    assert sent("/gradio_api/queue/join", [bytes(300)] * 3) == (200, b"read", 900)


def test_two_photos_of_the_largest_size_fit_into_a_body() -> None:
    assert 2 * len(base64.b64encode(bytes(1000))) * photos.BYTES / 1000 < guard.BODY


def test_a_drawing_takes_no_files() -> None:
    path, kind = "/gradio_api/component_server", "Multipart/form-data; boundary=x"
    assert sent(path, [b"x"], content_type=kind)[0] == 400
    assert sent(path, [b"{}"], content_type="application/json")[0] == 200
    assert sent("/gradio_api/upload", [b"x"], content_type=kind)[0] == 200


@pytest.mark.parametrize("path", ["queue/join", "call/read", "call/v2/read", "run/read", "api/read", "upload"])
def test_every_way_to_a_run_is_counted(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(guard.Rate, "allows", lambda *_: False)
    assert sent(f"/gradio_api/{path}", [b"{}"])[0] == 429


# ---- uploads ----------------------------------------------------------------------------


def test_old_uploads_are_swept_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    for name in ("a/photo.jpg", "b/c/verdicts.csv"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("x")
    app.sweep()
    assert (tmp_path / "a/photo.jpg").exists()
    monkeypatch.setattr(app, "LIMITS", limits.Limits(keep=-1))
    for _ in range(3):  # a folder goes once it is empty
        app.sweep()
    assert list(tmp_path.iterdir()) == []


def test_what_the_page_itself_shows_outlives_every_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(app, "LIMITS", limits.Limits(keep=-1))
    blocks = app.build()
    app.sweep(app.shown_always(blocks))
    shelves = [block for block in blocks.blocks.values() if isinstance(block, gr.Dataset)]
    addresses = [cell["url"] for shelf in shelves for row in shelf.samples for cell in row if isinstance(cell, dict)]
    assert len(addresses) >= len(photos.examples())
    page = TestClient(gr.routes.App.create_app(blocks))
    assert {page.get(address).status_code for address in addresses} == {200}


def test_the_oldest_uploads_go_where_all_are_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(app, "HELD", 250)
    for number in range(4):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(bytes(100))
        while (tmp_path / f"{number}.jpg").stat().st_ctime <= max([0.0, *ages(tmp_path, number)]):
            path.touch()  # until the clock of the disk has moved on
    app.sweep({tmp_path / "0.jpg"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.jpg", "2.jpg", "3.jpg"]


def ages(folder: Path, count: int) -> list[float]:
    return [(folder / f"{number}.jpg").stat().st_ctime for number in range(count)]


def test_uploads_are_found_where_the_temporary_folder_is_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "link"))
    shutil.copy(PHOTO, tmp_path / "real/photo.jpg")
    assert app.photo_of(str(tmp_path / "link/photo.jpg")) == PHOTO.stem
    with pytest.raises(InputError):
        app.photo_of(str(PHOTO))


# ---- questions of the page's scripts ----------------------------------------------------


def test_questions_wait_aside_and_too_many_are_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "LOOKS", 2)
    monkeypatch.setattr(app, "WAITING", 3)
    aside, free, at_work = app.Aside(), Event(), []
    request = SimpleNamespace(scope={"headers": [(b"accept-language", b"zh")]})

    def slow(asked: str) -> str:
        at_work.append(asked)
        assert free.wait(60)
        return asked

    async def crowd() -> list[object]:
        asking = asyncio.gather(*(aside.of(slow)(f"{n}", request) for n in range(9)), return_exceptions=True)
        while len(at_work) < 2:
            await asyncio.sleep(0)
        assert len(at_work) == 2
        assert await asyncio.to_thread(lambda: "others") == "others"
        free.set()
        return await asking

    answers = asyncio.run(crowd())
    assert answers[:5] == list("01234")
    assert {(a.status_code, a.detail) for a in answers[5:]} == {(429, say("zh-CN", "error.busy"))}


def test_every_script_asks_aside() -> None:
    shown = [block for block in app.build().blocks.values() if isinstance(block, gr.HTML)]
    functions = [function for drawing in shown for function in drawing.server_fns]
    assert {function.__name__ for function in functions} == {"inspect", "qr", "answer"}
    assert all(asyncio.iscoroutinefunction(function) for function in functions)


def test_a_new_visitor_costs_no_look_at_all_components(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = app.build()
    monkeypatch.setattr(type(blocks.default_config), "config_for_block", lambda *_: pytest.fail("looked"))
    one, other = app.Visitor(blocks), app.Visitor(blocks)
    key = next(key for key, block in blocks.blocks.items() if isinstance(block, gr.Textbox))
    one[key] = gr.Textbox("mine", render=False)
    one._update_value_in_config(key, "mine")
    assert one[key].value == "mine"
    assert other[key] is blocks.blocks[key]


# ---- weights ----------------------------------------------------------------------------


@pytest.mark.weights
def test_the_sums_beside_the_weights_are_right() -> None:
    folders = [path.parent for path in models.ROOT.glob("*/*/config.json")]
    assert len(folders) >= 16
    for folder in folders:
        checksums.check(folder)
        noted = (folder / checksums.NAME).read_text("utf-8")
        assert all(path.name in noted for path in folder.glob("*.safetensors"))


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "scores.json", "variants.json", "model.safetensors"])
def test_one_wrong_bit_is_refused(folder: Path, name: str) -> None:
    checksums.write(folder)
    checksums.check(folder)
    raw = bytearray((folder / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (folder / name).write_bytes(raw)
    with pytest.raises(checksums.DamagedFileError, match=re.escape(name)):
        checksums.check(folder)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gallery whose poems have a wrong byte, whose novel has other scores, and whose sentiment network is gone."""
    root = tmp_path_factory.mktemp("copy")
    shutil.copy(ROOT / "app.py", root)
    for part in ("demos", "models", "hosting"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
    weights = root / "models/charlm/tang/model.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-1000] ^= 0xFF
    weights.write_bytes(raw)
    (root / "models/sentiment/en/model.safetensors").unlink()
    scores = root / "models/charlm/hongloumeng/scores.json"
    scores.write_text(scores.read_text("utf-8").replace("bits_per_char", "bits_per_word"), "utf-8")
    with gallery(root) as address:
        yield address


@pytest.mark.weights
def test_a_damaged_network_costs_its_own_runs_only(damaged: str) -> None:
    client = Client(damaged, verbose=False)
    for call in (
        {"text": "床前", "network": "tang", "api_name": "/continue"},
        {"text": "宝玉", "network": "hongloumeng", "api_name": "/continue"},
        {"text": "good", "api_name": "/sentiment"},
    ):
        with pytest.raises(AppError, match=re.escape(say("en", "error.network"))):
            client.predict(**call)
    assert client.predict(text="ROMEO:", length=5, api_name="/continue")["complete"]
    assert client.predict(text="一点也不难吃", api_name="/sentiment")["label"] == "positive"


# ---- full, left, stopped ----------------------------------------------------------------


@pytest.mark.weights
def test_a_full_gallery_says_so_at_once_in_the_visitors_language() -> None:
    with gallery(GALLERY_RUNS="1", GALLERY_QUEUE="2") as address, ThreadPoolExecutor(12) as pool:
        data = ["宝玉", "hongloumeng", 2000, *CONTINUE[3:]]
        answers = list(pool.map(lambda _: join(address, data, lang="zh-CN"), range(12)))
        refused = [a for a in answers if a.status_code == 429]
        assert refused
        assert {a.json()["detail"] for a in refused} == {say("zh-CN", "error.busy")}
        taken = [a.json()["event_id"] for a in answers if a.status_code == 200]
        assert len(taken) + len(refused) == 12
        assert all('"complete": true' in last_of(address, event) for event in taken)  # what runs goes on


@pytest.mark.weights
@pytest.mark.parametrize("way", ["run", "api"])
def test_no_run_goes_past_the_queue(url: str, way: str) -> None:
    answer = httpx.post(f"{url}/gradio_api/{way}/continue", json={"data": CONTINUE}, timeout=60)
    assert answer.status_code == 404


@pytest.mark.weights
def test_an_address_that_asks_too_often_is_told() -> None:
    with gallery(GALLERY_RATE="4") as address:
        answers = [join(address) for _ in range(6)]
        assert [a.status_code for a in answers] == [200] * 4 + [429] * 2
        assert answers[-1].json()["detail"] == say("en", "error.rate")


@pytest.mark.weights
def test_a_visitor_who_leaves_frees_his_place() -> None:
    texts = ["I have never been so bored by a film, and the end was no better. " * 20] * 6000
    with gallery(GALLERY_RUNS="1") as address:
        whole = time.monotonic()
        event = join(address, [texts[:2000], "en", "two_way"], "sentiment").json()["event_id"]
        assert "results" in last_of(address, event, "sentiment")
        whole = time.monotonic() - whole  # a third of what the next visitor asks for
        event = join(address, [texts, "en", "two_way"], "sentiment").json()["event_id"]
        with httpx.stream("GET", f"{address}/gradio_api/call/sentiment/{event}", timeout=60) as stream:
            next(stream.iter_bytes())
        waited = time.monotonic()
        assert "complete" in last_of(address, join(address).json()["event_id"])
        assert time.monotonic() - waited < 2 * whole


@pytest.mark.weights
def test_running_streams_may_end_when_the_server_is_told_to_stop() -> None:
    with process_of({"GALLERY_GRACE": "60"}) as (address, process):
        Client(address, verbose=False).predict(*CONTINUE, api_name="/continue")
        event = join(address, ["宝玉", "hongloumeng", 2000, *CONTINUE[3:]]).json()["event_id"]
        with httpx.stream("GET", f"{address}/gradio_api/call/continue/{event}", timeout=60) as stream:
            lines = stream.iter_lines()
            next(lines)
            process.send_signal(signal.SIGTERM)
            assert '"complete": true' in [line for line in lines if line][-1]
        assert process.wait(60) == 0


def test_only_runs_wait_in_the_queue() -> None:
    functions = [function for function in app.build().fns.values() if function.fn is not None]
    assert {function.concurrency_id for function in functions if function.queue} == {"network"}
    assert {"start", "follow", "compute", "continue"} <= {function.api_name for function in functions if function.queue}


def test_a_run_has_one_input() -> None:
    """Each further one would be told, at every later click, how the run went."""
    config = app.build().config
    starts = [event for event in config["dependencies"] if str(event["api_name"]).startswith("start")]
    packers, kinds = packed_inputs(config), {c["id"]: c["type"] for c in config["components"]}
    assert len(starts) >= 3 * len(discover())
    for event in starts:
        (packed,) = event["inputs"]
        assert kinds[packers[packed][0]] == "radio"
        assert len(packers[packed]) >= 3


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_newcomer_finds_an_example_or_the_values_of_his_link(lang: str) -> None:
    demo = next(demo for demo in discover() if demo.name == "many_to_many")
    with gr.Blocks():
        page = app.Page(demo, gr.Radio(), app.Words(), app.quietly())
    plain, foreign, own = (
        SimpleNamespace(query_params=params)
        for params in ({}, {"tab": "aligned", "text": "x"}, {"tab": demo.name, "text": "KING:", "length": "7"})
    )
    for request in (plain, foreign):
        drawn, *_ = page.arrive(lang, request)
        assert json.loads(drawn.splitlines()[0])["demo"] == demo.name
        assert page.asked(lang, request) == {}
    drawn, *values = page.arrive(lang, own)
    shown = dict(zip(page.controls, (update["value"] for update in values), strict=True))
    assert (drawn, shown["text"], shown["length"]) == (gr.skip(), "KING:", 7)
    assert page.asked(lang, own)["seed"] == 1


# ---- everywhere -------------------------------------------------------------------------


@pytest.mark.weights
@pytest.mark.parametrize("path", ["", "foundations", "gradio_api/info"])
def test_the_headers_are_those_of_a_public_page(url: str, path: str) -> None:
    headers = httpx.get(f"{url}/{path}").headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "same-origin")


@pytest.mark.weights
def test_an_agent_can_use_the_tools(url: str) -> None:
    async def use() -> tuple[list[str], list[str]]:
        async with (
            streamable_http_client(f"{url}/gradio_api/mcp/") as (read, write, *_),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = (await session.list_tools()).tools
            calls = {
                "sentiment": {"text": "Not bad at all."},
                "continue": {"text": "ROMEO:\n", "length": 20},
                "caption": {"photo": photos.packed(photos.pixels_of(photos.examples()[0])), "language": "zh"},
            }
            answers = [await session.call_tool(name, given) for name, given in calls.items()]
            assert not any(answer.isError for answer in answers)
            return [tool.name for tool in tools], [answer.content[-1].text for answer in answers]

    tools, (sentiment, continued, caption) = asyncio.run(use())
    assert {"caption", "continue", "sentiment", "read"} == set(tools)
    assert "positive" in sentiment
    assert '"complete": true' in continued.lower().replace("'", '"').replace("true", "true")
    assert re.search(r"[\u4e00-\u9fff]", caption) or "\\u" in caption


@pytest.mark.weights
@pytest.mark.parametrize("file", ["README.md", "README.zh-CN.md"])
def test_the_programs_in_the_readme_run(
    url: str, file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(PHOTO, tmp_path / "photo.jpg")
    programs = re.findall(r"```python\n(.*?)```", (ROOT / file).read_text("utf-8"), re.DOTALL)
    assert programs
    for program in programs:
        program = program.replace("http://127.0.0.1:7860", url).replace("photo.jpg", str(tmp_path / "photo.jpg"))
        exec(compile(program, file, "exec"), {})
    out = capsys.readouterr().out
    assert json.dumps("positive")[1:-1] in out
    assert len(out.splitlines()) >= 3


STORES = """
import ctypes, sys, threading
import app
if sys.argv[1:]:
    app.share_memory()
together = threading.Barrier(8)
def work():
    together.wait()
    kept = [bytearray(1000) for _ in range(100)]
    together.wait()
workers = [threading.Thread(target=work) for _ in range(8)]
[worker.start() for worker in workers]
[worker.join() for worker in workers]
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
libc.malloc_info(0, out := ctypes.c_void_p(libc.fdopen(1, b"w")))
libc.fflush(out)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the setting")
def test_all_threads_share_two_stores_of_free_memory() -> None:
    def stores(*given: str) -> int:
        done = subprocess.run([sys.executable, "-c", STORES, *given], cwd=ROOT, capture_output=True, text=True)
        return done.stdout.count("<heap nr")

    assert 1 <= stores("shared") <= 2 < stores()
