"""Hostile requests: what strangers, scanners and broken programs send to a gallery, and what it may answer."""

import base64
import io
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlencode

import httpx
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.serving import ROOT, free_port, packed_inputs

MARKER = "HOSTILE-MARKER"  # in visitors' texts; no part of it may be in the log
SECRET = "VALUE-OF-AN-ENVIRONMENT-VARIABLE"
CLIENTS = 8
SMALL = {"length": 3, "method": "greedy", "text": "ab", "lines": "good\nbad"}  # so that the networks do little work
VALID: dict[str, list[Any]] = {
    "caption": ["shepherd", "en", "greedy", 3, 0.7, 1],
    "sentiment": ["good", "auto", "one_way"],
    "continue": ["ab", "shakespeare", 3, 0.8, 0, 1.0, 1, "五绝", ""],
    "read": ["ab", "shakespeare"],
}
FILES = ("/etc/passwd", "/proc/self/environ", f"{ROOT}/app.py", f"{ROOT}/.git/config", f"{ROOT}/models/sampling.py")
OF_FILES = ("root:x:0", SECRET, "The gallery: one tab a pattern", "repositoryformatversion", "import numpy as np\nfrom")
PLACES = (
    str(ROOT),
    sys.prefix,
    sys.base_prefix,
    f"{Path.home()}/",
    f"{tempfile.gettempdir()}/",
    "/usr/",
    "site-packages",
)

# ---- a gallery whose every word is kept ------------------------------------------------------


class Gallery(NamedTuple):
    """A running `python app.py`, and the files that it writes."""

    url: str
    process: subprocess.Popen
    log: Path
    cache: Path


@contextmanager
def logged_gallery(folder: Path) -> Iterator[Gallery]:
    """`python app.py` on a free port, with its output and its uploads in a folder."""
    url, log, cache = f"http://127.0.0.1:{(port := free_port())}", folder / "log", folder / "rnn-gallery"
    own = {"GRADIO_SERVER_PORT": str(port), "GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_TEMP_DIR": str(folder)}
    own |= {"GALLERY_SECRET": SECRET, "GALLERY_RATE": "0"}  # all requests come from one address
    with log.open("wb") as out:
        command = {"args": [sys.executable, "app.py"], "cwd": ROOT, "stdout": out, "stderr": out}
        process = subprocess.Popen(**command, env=os.environ | own)
    try:
        while process.poll() is None and not answers(url):
            threading.Event().wait(0.1)
        assert process.poll() is None, "the gallery ended before it answered"
        yield Gallery(url, process, log, cache)
    finally:
        process.terminate()
        process.wait()


def answers(url: str) -> bool:
    """Whether something answers there."""
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/gradio_api/startup-events").is_success
    return False


# ---- one request, and what is wrong with its answer -------------------------------------------


class Shot(NamedTuple):
    """A request; `follow` says where its answer streams: at "call" or in a "session"."""

    family: str
    path: str
    body: bytes | None = None  # None: a GET
    kind: str = "application/json"
    follow: str = ""

    def __str__(self) -> str:
        return f"{'GET' if self.body is None else 'POST'} {self.path[:200]} {(self.body or b'')[:300]!r}"


class Answer(NamedTuple):
    """What came back, a stream to its end; `page`: a browser would show it as one."""

    status: int
    text: str
    page: bool = False


def read(answer: httpx.Response) -> Answer:
    """A response as it matters here."""
    page = any(kind in answer.headers.get("content-type", "") for kind in ("html", "svg", "xml"))
    attached = "attachment" in answer.headers.get("content-disposition", "")
    return Answer(answer.status_code, answer.text, page and not attached)


def fired(client: httpx.Client, shot: Shot) -> Answer:
    """The answer to a request, its stream included. A server that fails drops the
    connection, which the next request on it learns first: so each is tried again once."""
    headers = {"content-type": shot.kind, "accept": "application/json, text/event-stream"}
    target = {"target": shot.path.encode("ascii")}  # as it stands, with its dots
    method = "GET" if shot.body is None else "POST"
    for attempt in range(2):
        try:
            answer = client.request(method, "/", content=shot.body, headers=headers, extensions=target)
            break
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError) as error:
            if attempt:
                return Answer(0, f"no answer: {error!r}")
    if answer.status_code != 200 or not shot.follow:
        return read(answer)
    return streamed(client, shot, answer.json()["event_id"])


def streamed(client: httpx.Client, shot: Shot, event: str) -> Answer:
    """What the event of a request streams."""
    name = shot.path.split("/call/")[-1].split("?")[0]
    session = json.loads(shot.body).get("session_hash")
    path = (
        f"/gradio_api/call/{name}/{event}"
        if shot.follow == "call"
        else f"/gradio_api/queue/data?session_hash={session}"
    )
    try:
        answer = client.get(path)
    except httpx.RemoteProtocolError as error:
        return Answer(0, f"the stream broke: {error!r}")
    return read(answer)


def wrong(shot: Shot, answer: Answer, cache: Path) -> str:
    """What is wrong with an answer, in a few words; nothing if nothing is."""
    status, text, page = answer
    if status >= 500 or status in (0, 429):
        return f"{status}: {text[:60]}"
    if "Traceback (most recent call last)" in text:
        return "a traceback"
    if page and MARKER in text:
        return "a visitor's text in a page"
    if found := [part for part in OF_FILES if part in text]:
        return f"a file or a variable of the machine: {found}"
    if found := [place for place in PLACES if place in without_uploads(text, cache) and place not in sent(shot)]:
        return f"a path of the machine: {found}"
    return unclear(text) if shot.follow and status == 200 else ""


def without_uploads(text: str, cache: Path) -> str:
    """An answer without the places of uploads and of results: Gradio's pages ask for files by them."""
    return re.sub(re.escape(str(cache)) + r"/(\w{64}|tmp\w{8}/verdicts\.csv)", "", text)


def sent(shot: Shot) -> str:
    """What the visitor knows already."""
    return unquote(unquote(shot.path)) + (shot.body or b"").decode("utf-8", "replace")


def unclear(text: str) -> str:
    """Whether a stream ends without a result and without a sentence."""
    if re.search(r'"error":\s*null|event: error\ndata: null', text):
        return "an error without words"
    return "" if re.search(r"event: (complete|error)|process_completed", text) else "no result and no error"


class Outcome(NamedTuple):
    """A request and what was wrong with its answer."""

    shot: Shot
    wrong: str


def fire(gallery: Gallery, shots: list[Shot]) -> list[Outcome]:
    """All requests, by some clients at once, each with a connection that it keeps."""
    local = threading.local()

    def one(shot: Shot) -> Outcome:
        if not hasattr(local, "client"):
            local.client = httpx.Client(base_url=gallery.url, timeout=120)
        return Outcome(shot, wrong(shot, fired(local.client, shot), gallery.cache))

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(one, shots))


# ---- values -----------------------------------------------------------------------------------


def forged(path: str, **more: Any) -> dict[str, Any]:
    """A record as Gradio's pages send it for an uploaded file."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}} | more


CLASSICS: tuple[Any, ...] = (
    None, True, False, "", " ", 0, -1, 1e308, -1e308, 10**30, -(10**30), 2**63, 0.1, float("nan"), float("inf"),
    -float("inf"), [], {}, [[]], [[[[[[]]]]]], {"": {}}, [None] * 50, "\0", "a\0b", "\ud800", "\udfff\ud800",
    "\u202eevil",
    "\u200b\u200f", "\ufeff", "\x1b[31m", "\r\nSet-Cookie: a=b", "\x7f" * 9, "e" + "\u0301" * 200, "👩‍👩‍👧‍👦" * 20,
    "﷽" * 40,
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\"'><svg/onload=alert(1)>", "javascript:alert(1)",
    "${alert(1)}", "{{value}}", "{{{value}}}", "{% print(1) %}", "#{7*7}", "%s%s%n%x", "{0.__class__}", "`id`",
    "$(id)",
    "'; DROP TABLE users; --", "1 OR 1=1", "=cmd|' /C calc'!A0", "__proto__", "constructor", "__class__", "NaN",
    "1e999",
    "../../etc/passwd", "..\\..\\boot.ini", "%2e%2e%2fetc%2fpasswd", "file:///etc/passwd", "/proc/self/environ",
    *FILES, "http://127.0.0.1:22/", "http://169.254.169.254/latest/meta-data/", "\\\\host\\share", "~/.ssh/id_rsa",
    "x" * 5001, "x" * 100_000, "data:", "data:text/html,<b>", "data:image/png;base64,",
    "data:image/svg+xml;base64,PHN2Zz4=",
    *({"path": path} for path in FILES), *(forged(path) for path in FILES), forged("../../app.py"), forged(""),
    forged("/"), forged("\0"), forged(f"/etc/{MARKER}"), {"path": f"/{MARKER}"},
    forged("x", url="file:///etc/passwd"), forged("x", url="http://127.0.0.1:22/x.png"),
    forged("http://127.0.0.1:22/x.png"), forged("http://[::1]/x.png", url=f"http://localhost/{MARKER}"),
    {"path": [], "meta": {"_type": "gradio.FileData"}}, {"meta": {"_type": "gradio.FileData"}},
    [forged("/etc/passwd")], {"a": {"b": [forged(f"{ROOT}/app.py")]}}, {"__type__": "update", "value": MARKER},
)  # fmt: skip
TEXTS = st.text(st.characters(), max_size=12).map(lambda text: f"{MARKER}-{text}")
LEAVES = TEXTS | st.sampled_from(CLASSICS) | st.integers() | st.floats() | st.booleans() | st.none()
VALUES = st.recursive(LEAVES, lambda v: st.lists(v, max_size=4) | st.dictionaries(TEXTS, v, max_size=3), max_leaves=6)


def drawn(strategy: st.SearchStrategy, count: int) -> list[Any]:
    """Different examples of a strategy, the same ones each time."""
    found: list[Any] = []

    @settings(max_examples=count, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(strategy)
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    return found


def packed(value: Any) -> bytes:
    """As JSON, with NaN and halves of characters."""
    return json.dumps(value).encode()


@st.composite
def spoilt(draw: st.DrawFn, valid: list[Any]) -> list[Any]:
    """Arguments of which some are hostile, missing or too many."""
    out = list(valid)
    for place in draw(st.lists(st.integers(0, max(len(out) - 1, 0)), max_size=2)) if out else []:
        out[place] = draw(VALUES)
    cut, more = draw(st.sampled_from([(None, 0)] * 4 + [(-1, 0), (1, 0), (0, 0), (None, 1), (None, 30)]))
    return out[:cut] + [f"{MARKER}-more"] * more


# ---- pictures ---------------------------------------------------------------------------------


def file_of(mode: str, kind: str, size: tuple[int, int] = (40, 30), **options: Any) -> bytes:
    """A picture as a file."""
    out = io.BytesIO()
    Image.new(mode, size, 1).save(out, kind, **options)
    return out.getvalue()


def rotated() -> bytes:
    """A JPEG that says it lies on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = MARKER
    return file_of("RGB", "JPEG", exif=exif)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be enormous."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(10**6))), (b"IEND", b""))
    parts = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def pictures() -> dict[str, bytes]:
    """Files by their names: pictures of odd kinds, what pretends to be one, and bombs."""
    jpeg, gif = file_of("RGB", "JPEG"), file_of("P", "GIF", save_all=True, append_images=[Image.new("P", (40, 30), 2)])
    svg = f'<svg xmlns="http://www.w3.org/2000/svg"><script>alert("{MARKER}")</script></svg>'.encode()
    return {
        "cmyk.jpg": file_of("CMYK", "JPEG"), "deep.png": file_of("I;16", "PNG"), "one.png": file_of("RGB",
        "PNG", (1, 1)),
        "thin.png": file_of("L", "PNG", (5000, 1)), "clear.png": file_of("LA", "PNG"), "rotated.jpg": rotated(),
        "moving.gif": gif, "float.tiff": file_of("F", "TIFF"), "bits.bmp": file_of("1", "BMP"),
        "web.webp": file_of("RGBA", "WEBP"),
        "bomb.png": bomb(60_000, 60_000), "wide.png": bomb(2**31 - 1, 1), "none.png": bomb(0, 0),
        "cut.jpg": jpeg[:-90],
        "head.jpg": jpeg[:20], "flat.png": bomb(7000, 8000), "cut.gif": gif[:30], "empty.jpg": b"",
        "noise.jpg": bytes(range(256)) * 9,
        "vector.svg": svg, "vector.png": svg, "script.gif": gif + f"/*{MARKER}*/=1;alert(1)".encode(),
        "paper.jpg": b"%PDF-1.7\n" + jpeg,
        "zip.jpg": jpeg + b"PK\x03\x04" + MARKER.encode(), "page.html": f"<script>{MARKER}</script>".encode(),
    }  # fmt: skip


def data_url(raw: bytes, kind: str = "image/png") -> str:
    """A file as a data URL."""
    return f"data:{kind};base64,{base64.b64encode(raw).decode()}"


NAMES = (
    "../../../app.py", "/etc/passwd", "..\\..\\x.jpg", "a\0b.jpg", "\u202egpj.exe", "x" * 300 + ".jpg", ".", "..",
    "", "con.jpg",
    f"{MARKER}.jpg", "<script>.jpg", "${x}.jpg", "'; --.jpg", "a/b/c.png", "%2e%2e%2fx.png", "狗.jpg", ".htaccess",
    "x.jpg\r\nA: b",
)  # fmt: skip


def uploaded(name: str, raw: bytes, field: str = "files", edge: str = "edge") -> Shot:
    """A file in the form that the page uses."""
    head = f'--{edge}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    body = head.encode("utf-8", "surrogatepass") + raw + f"\r\n--{edge}--\r\n".encode()
    return Shot("upload", "/gradio_api/upload", body, "multipart/form-data; boundary=edge")


# ---- the requests -----------------------------------------------------------------------------


def called(name: str, data: Any, family: str = "api") -> Shot:
    """A call of a public function."""
    return Shot(family, f"/gradio_api/call/{quote(name)}", packed({"data": data}), follow="call")


def joined(number: int, fn: Any, data: Any, query: str = "", family: str = "private", **more: Any) -> Shot:
    """An event as the page sends it, in a session of its own."""
    body = {"fn_index": fn, "data": data, "session_hash": f"session{family}{number}"} | more
    return Shot(family, f"/gradio_api/queue/join{query}", packed(body), follow="session")


def asked(component: Any, function: Any, data: Any) -> Shot:
    """A question of a drawing."""
    body = {"component_id": component, "fn_name": function, "data": data, "session_hash": "a"}
    return Shot("server", "/gradio_api/component_server", packed(body))


def api_shots() -> Iterator[Shot]:
    """Every classic in every place of every function, and what hypothesis finds."""
    for name, valid in VALID.items():
        for place, value in product(range(len(valid)), CLASSICS):
            if place in (0, 1 + len(valid) // 2):
                yield called(name, [*valid[:place], value, *valid[place + 1 :]])
        for data in drawn(spoilt(valid), 100):
            yield called(name, data)
    for raw, kind in product(pictures().values(), ("image/png", "image/jpeg")):
        yield called("caption", [data_url(raw, kind), *VALID["caption"][1:]])


def raw_shots() -> Iterator[Shot]:
    """Bodies that are no call at all."""
    digits, deep = b'{"data": [' + b"9" * 5000 + b"]}", b'{"data": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    bodies = [b"", b"{", b"null", b"[]", b'"a"', b"\xff\xfe", b'{"data": 5}', b'{"data": {}}', b"{}", digits, deep]
    bodies += [packed(value) for value in (*CLASSICS[:24], {"data": ["\ud800"], MARKER: "\ud800"}, {"data": "\ud800"})]
    paths = ["call/read", "queue/join", "component_server", "cancel", "run/read", "api/read", "reset", "call/v2/read"]
    for path, body in product([*paths, "process_recording", "vibe-edit", "stream/x", "run-history/connect"], bodies):
        yield Shot("raw", f"/gradio_api/{path}", body)
    for kind, path in product(("text/plain", "multipart/form-data", "a/b", ""), paths):
        yield Shot("raw", f"/gradio_api/{path}", packed({"data": [MARKER, "x"]}), kind)
    for name in (f"{MARKER}-unknown", "start", "arrive", "..", "%00", "x" * 2000):
        yield Shot("raw", f"/gradio_api/call/{name}", packed({"data": [MARKER]}), follow="call")
        yield Shot("raw", f"/gradio_api/call/v2/{name}", packed({"a": MARKER}))
        yield Shot("raw", f"/gradio_api/call/read/{name}")
        yield Shot("raw", f"/gradio_api/queue/data?session_hash={name}")


def private_shots(config: dict[str, Any]) -> Iterator[Shot]:
    """Every event of the page with forged values, and events that do not exist."""
    props = {component["id"]: component["props"] for component in config["components"]}
    number = iter(range(10**6))
    packers = packed_inputs(config)
    for event in config["dependencies"]:
        valid = VALID.get(event["api_name"]) or [small(props[i]) for i in event["inputs"]]
        for data, more in drawn(
            st.tuples(spoilt(valid), st.sampled_from([{}, {"trigger_id": 10**9}, {"trigger_id": 1}])), 6
        ):
            yield joined(next(number), event["id"], data, **more)
        if event["inputs"] and event["inputs"][0] in packers:
            controls = [small(props[i]) for i in packers[event["inputs"][0]]]
            for data in drawn(spoilt(controls) | VALUES, 20):
                yield joined(next(number), event["id"], [json.dumps(data)])
        if "branch" in [name for _, name in event["targets"]]:
            for data in drawn(
                VALUES | st.fixed_dictionaries({"inputs": VALUES, "written": VALUES, "chosen": VALUES}), 60
            ):
                yield joined(next(number), event["id"], valid, event_data=data)
    for fn in (-1, 999, 10**30, "0", None, MARKER, 1.5, [], True):
        yield joined(next(number), fn, [MARKER])


def small(props: dict[str, Any]) -> Any:
    """A control's value, so chosen that the network has little to do."""
    return SMALL.get(str(props.get("elem_id")).rpartition("-")[2], props.get("value"))


def server_shots(config: dict[str, Any]) -> Iterator[Shot]:
    """Questions to the drawings: no JSON, wrong JSON, and other components' functions."""
    asks = {"inspect": {"inputs": {"text": "ab", "length": 3, "photo": "shepherd"}, "t": 0, "layer": 0, "unit": 0}}
    asks |= {"answer": {"ask": "hand", "tables": {}, "size": {}, "seed": 1}, "qr": {}}
    shown = [(c["id"], name) for c in config["components"] for name in c["props"].get("server_fns") or ()]
    for component, name in dict.fromkeys(shown):
        questions = st.dictionaries(st.sampled_from([*asks[name], MARKER]), VALUES).map(lambda q, of=asks[name]: of | q)
        for value in drawn(VALUES, 25) + [json.dumps(question) for question in drawn(questions, 40)]:
            yield asked(component, name, value)
    for component, name in product(
        (0, -1, 9999, MARKER, None, True), ("qr", "__init__", "postprocess", MARKER, "", None)
    ):
        yield asked(component, name, MARKER)


def mcp_shots() -> Iterator[Shot]:
    """JSON-RPC that is none, and tools with hostile arguments."""
    calls = [{"name": name, "arguments": {"text": value, "photo": value}} for name in VALID for value in CLASSICS[:40]]
    calls += [
        {"name": name, "arguments": value}
        for name in (*VALID, MARKER, "")
        for value in ({}, [], MARKER, None, {MARKER: 1})
    ]
    bodies = [{"jsonrpc": "2.0", "id": i, "method": "tools/call", "params": call} for i, call in enumerate(calls)]
    methods = ("initialize", "tools/list", "resources/read", "prompts/get", "notifications/x", MARKER, "", None, 5)
    bodies += [
        {"jsonrpc": "2.0", "id": 1, "method": m, "params": p} for m in methods for p in (None, [], {"uri": FILES[0]})
    ]
    for body in (*map(packed, bodies), *map(packed, CLASSICS[:24]), b"", b"{", b"\xff", b"[" * 50_000):
        yield Shot("mcp", "/gradio_api/mcp/", body)


def file_shots() -> Iterator[Shot]:
    """Ways to files that are nobody's business."""
    places = [
        *FILES,
        "app.py",
        "./app.py",
        ".git/config",
        "models/sampling.py",
        "demos/../app.py",
        "~/.bashrc",
        "C:\\boot.ini",
    ]
    dots = ["../" * n + "etc/passwd" for n in (1, 3, 9)] + [
        "....//" * 5 + "etc/passwd",
        "file:///etc/passwd",
        "http://127.0.0.1:22/",
    ]
    changes: list[Callable[[str], str]] = [
        quote,
        lambda p: quote(p, safe=""),
        lambda p: quote(quote(p, safe=""), safe=""),
    ]
    changes += [lambda p: quote(p) + "%00.jpg", lambda p: quote(p).replace("..", "%2e%2e"), lambda p: "/" + quote(p)]
    routes = ("gradio_api/file=", "gradio_api/file/", "file=", "static/", "assets/", "svelte/", "gradio_api/proxy=", "")
    for route, place, change in product(routes, places + dots, changes):
        yield Shot("file", f"/{route}{change(place)}")
    for path in ("custom_component/a/client/b/", "stream/a/b/1/", "heartbeat_/", "run-history/records/", "vibe-code/"):
        yield Shot("file", f"/gradio_api/{path}{MARKER}")


def link_shots(config: dict[str, Any]) -> Iterator[Shot]:
    """Links with absurd values: the pages, and the events that read the link."""
    arrivals = [
        event["id"] for event in config["dependencies"] if str(event["api_name"]).startswith(("arrive_", "follow"))
    ]
    tabs, number = ("one_to_many", "many_to_one", "many_to_many", "aligned", MARKER, ""), iter(range(10**6))
    names = [
        "photo",
        "network",
        "method",
        "width",
        "temperature",
        "seed",
        "top_k",
        "top_p",
        "form",
        "acrostic",
        "written",
    ]
    names += ["text", "chosen", "other", "mix", "erase", "change", "lang", "step", "present", "__theme"]
    value = st.text(st.characters(exclude_categories=["Cs"]), max_size=9).map(
        lambda text: f"{MARKER}-{text}"
    ) | st.sampled_from([c for c in map(str, CLASSICS) if c.isprintable() and len(c) < 2000])
    links = st.tuples(st.sampled_from(tabs), st.dictionaries(st.sampled_from(names), value))
    for tab, given_ in drawn(links, 240):
        query = "?" + urlencode({"tab": tab, "length": 3} | given_)
        yield joined(next(number), arrivals[next(number) % len(arrivals)], ["en"], query, "link")
    for tab, given_ in drawn(links, 20):
        query = "?" + urlencode({"tab": tab} | given_)
        yield from (
            Shot("page", page + query) for page in ("/", "/foundations", "/config", f"/{MARKER}", "/gradio_api/info")
        )


def upload_shots() -> Iterator[Shot]:
    """Files of every kind, and names of every kind."""
    yield from (uploaded(name, raw) for name, raw in pictures().items())
    yield from (uploaded(name, file_of("RGB", "PNG"), field) for name, field in product(NAMES, ("files", "", MARKER)))
    yield from (uploaded("a.jpg", b"x", edge=edge) for edge in ("", "other", "edge\r\n"))
    yield from (
        Shot("upload", "/gradio_api/upload", body, "multipart/form-data; boundary=edge")
        for body in (b"", b"--edge", b"\0")
    )
    yield from (Shot("upload", "/gradio_api/upload", b"x", kind) for kind in ("multipart/form-data", "text/plain", ""))


def opened_shots(gallery: Gallery) -> Iterator[Shot]:
    """Uploads, each opened again: by a program, by the page, and over the wire."""
    with httpx.Client(base_url=gallery.url) as client:
        for number, (name, raw) in enumerate(pictures().items()):
            path = client.post("/gradio_api/upload", files={"files": (name, raw)}).json()[0]
            for photo in (
                path,
                forged(path),
                {"path": path},
                {"url": path},
                forged(path + "/../x"),
                forged(path, url="http://a/"),
            ):
                yield called("caption", [photo, *VALID["caption"][1:]], "opened")
            yield joined(number, 0, ["en", forged(path), "en", "greedy", 3, 0.7, 1, 0, None, 0], family="opened")
            yield Shot("opened", f"/gradio_api/file={quote(path)}")


def all_shots(gallery: Gallery) -> list[Shot]:
    """Everything, the pictures that others open last."""
    config = httpx.get(f"{gallery.url}/config").json()
    asked_of = (private_shots(config), server_shots(config), link_shots(config))
    own = (api_shots(), raw_shots(), mcp_shots(), file_shots(), upload_shots(), opened_shots(gallery))
    return [shot for some in (*asked_of, *own) for shot in some]
