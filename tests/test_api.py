"""The HTTP API of a running gallery, and what starting it imports."""

import base64
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from demos import photos
from tests.serving import ROOT, gallery

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with gallery() as address:
        yield address


@pytest.fixture(scope="module")
def client(url: str) -> Client:
    return Client(url, verbose=False)


def test_building_the_page_imports_neither_torch_nor_transformers() -> None:
    check = "import sys, app; app.build(); print([m for m in ('torch', 'transformers') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout.strip().splitlines()[-1] == "[]"


def test_only_the_documented_functions_are_public(client: Client) -> None:
    assert set(client.view_api(return_format="dict")["named_endpoints"]) == {
        "/caption",
        "/continue",
        "/read",
        "/sentiment",
    }


def test_the_mcp_tools_have_the_same_names_and_describe_their_arguments(url: str) -> None:
    tools = json.loads(urllib.request.urlopen(f"{url}/gradio_api/mcp/schema").read())
    assert {tool["name"] for tool in tools} == {"caption", "continue", "read", "sentiment"}
    arguments = next(tool for tool in tools if tool["name"] == "continue")["inputSchema"]["properties"]
    assert "temperature" in arguments
    assert all(argument.get("description") for argument in arguments.values())


def test_continue_streams_and_ends_complete(client: Client) -> None:
    answers = list(client.submit(text="ROMEO:\n", length=45, seed=3, api_name="/continue"))
    texts = [answer["continuation"] for answer in answers]
    assert len(texts) >= 4
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
    assert len(texts[-1]) == 45
    assert answers[-1]["complete"]
    assert all(0 < token["probability"] <= 1 for token in answers[-1]["tokens"])


def test_the_same_seed_gives_the_same_text(client: Client) -> None:
    arguments: dict[str, Any] = {"text": "宝玉", "network": "hongloumeng", "length": 20, "api_name": "/continue"}
    first, again, other = (client.predict(seed=seed, **arguments)["continuation"] for seed in (5, 5, 6))
    assert first == again != other


def test_an_acrostic_begins_each_line(client: Client) -> None:
    poem = client.predict(text="", network="tang", form="七绝", acrostic="春夏秋冬", api_name="/continue")
    lines = [line for line in poem["continuation"].replace("。", "，").replace("\n", "").split("，") if line]
    assert "".join(line[0] for line in lines[:4]) == "春夏秋冬"


def test_read_measures_each_character(client: Client) -> None:
    answer = client.predict(text="To be, or not to be", api_name="/read")
    assert [token["token"] for token in answer["tokens"]] == list("o be, or not to be")
    assert 0 < answer["bits_per_character"] < 6


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"text": ""}, "something to read"),
        ({"text": "x" * 5001}, "at most 5000"),
        ({"text": 5}, "must be a text"),
        ({"text": "x", "network": "../tang"}, "must be one of"),
        ({"text": "x", "temperature": 2.5}, "from 0 to 2"),
        ({"text": "x", "temperature": "hot"}, "from 0 to 2"),
        ({"text": "x", "length": 2.5}, "whole number"),
        ({"text": "x", "length": 10**30}, "from 1 to 2000"),
        ({"text": "", "network": "tang", "acrostic": "一二三四五"}, "more characters than the poem has lines (4)"),
    ],
)
def test_bad_input_gets_a_sentence_in_both_languages(client: Client, arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(AppError) as raised:
        client.predict(**arguments, api_name="/continue")
    assert sentence in str(raised.value)
    assert any("一" <= c <= "鿿" for c in str(raised.value))


def test_the_page_answers_after_forged_events(url: str) -> None:
    for body in ({"data": [], "fn_index": 1}, {"data": ["x"] * 40, "fn_index": 3, "session_hash": "a"}, {}):
        request = urllib.request.Request(
            f"{url}/gradio_api/queue/join", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        assert b"Traceback" not in answer(request)
    assert urllib.request.urlopen(url).status == 200


def answer(request: urllib.request.Request) -> bytes:
    try:
        return urllib.request.urlopen(request).read()
    except urllib.error.HTTPError as error:
        return error.read()


def test_one_text_has_one_verdict(client: Client) -> None:
    answer = client.predict(text="A wonderful film, I loved every minute.", api_name="/sentiment")
    assert (answer["label"], answer["language"]) == ("positive", "en")
    assert answer["probability"] > 0.9
    assert client.predict(text="难吃，再也不来了。", api_name="/sentiment")["label"] == "negative"


def test_a_list_keeps_its_order(client: Client) -> None:
    texts = ["Terrible.", "", "很好吃，下次还来！", "<script>alert(1)</script> great!"]
    rows = client.predict(text=texts, api_name="/sentiment")["results"]
    assert [row["text"] for row in rows] == texts
    assert [row["label"] for row in rows] == ["negative", None, "positive", "positive"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"text": ["a"] * 10_001}, "10000"),
        ({"text": "good", "network": "gpt"}, "one_way"),
        ({"text": "good", "language": "fr"}, "zh"),
        ({"text": 7}, "text"),
    ],
)
def test_what_sentiment_cannot_read_is_said_in_both_languages(
    client: Client, arguments: dict[str, Any], told: str
) -> None:
    with pytest.raises(AppError) as raised:
        client.predict(**arguments, api_name="/sentiment")
    assert told in str(raised.value)
    assert any("一" <= c <= "鿿" for c in str(raised.value))


def test_a_photo_may_come_as_a_file_a_data_url_or_a_name(client: Client) -> None:
    path = photos.FOLDER / "shepherd.jpg"
    url = "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode()
    named = client.predict(photo="shepherd", api_name="/caption")
    assert named == client.predict(photo=handle_file(str(path)), api_name="/caption")
    assert named["complete"]
    assert named["caption"] == " ".join(word["word"] for word in named["words"])
    assert all({"word", "probability", "raised"} == set(word) for word in named["words"])
    assert named["others"]
    assert client.predict(photo=url, language="zh", api_name="/caption")["caption"]


def test_a_caption_streams_word_by_word(client: Client) -> None:
    answers = list(client.submit(photo="retriever", api_name="/caption"))
    captions = [answer["caption"] for answer in answers]
    assert len(captions) > 3
    assert all(later.startswith(earlier) for earlier, later in pairwise(captions))


@pytest.mark.parametrize(
    "photo",
    [
        None, 3, [], {}, "", "no such photo", "/etc/passwd", {"path": "/etc/passwd"}, {"url": "file:///etc/passwd"},
        {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, "data:image/png;base64,AAAA", "x" * 10_000,
    ],
)  # fmt: skip
def test_what_is_no_photo_is_refused_in_both_languages(client: Client, photo: object) -> None:
    with pytest.raises(AppError) as raised:
        client.predict(photo=photo, api_name="/caption")
    assert "root:" not in str(raised.value)
    assert any("一" <= c <= "鿿" for c in str(raised.value))


def test_no_other_file_of_the_server_is_read(client: Client) -> None:
    """A record that names a picture outside the uploads is refused like any other path."""
    path = str(photos.FOLDER / "shepherd.jpg")
    for photo in (path, {"path": path}):
        with pytest.raises(AppError):
            client.predict(photo=photo, api_name="/caption")
