"""The gallery behind nginx, under a path of its own: `hosting/nginx.conf.template`."""

import base64
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from gradio_client import Client, handle_file
from playwright.sync_api import expect

from demos import photos
from demos.limits import LIMITS
from hosting import guard, proxy
from tests.proxying import LOG, NGINX, proxied
from tests.serving import CHROMIUM, chromium, process_of

PREFIX = "/rnn"
PHOTO = photos.FOLDER / f"{photos.examples()[0]}.jpg"
DONE = "#many_to_many-drawing .drawing[data-state=done]"
needs_nginx = pytest.mark.skipif(not NGINX, reason="no nginx")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nginx")


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    with process_of({"GRADIO_ROOT_PATH": PREFIX}) as (gallery, _), proxied(folder, [gallery], PREFIX) as address:
        yield address


@pytest.fixture(scope="module")
def client(url: str) -> Client:
    return Client(url, verbose=False)


def test_the_limits_are_the_gallerys() -> None:
    text = proxy.configuration(["a:1", "b:2"], prefix=PREFIX)
    assert f"client_max_body_size {LIMITS.megabytes + 1}m;" in text
    sizes = [int(size) * 2**20 for size in re.findall(r"client_max_body_size (\d+)m;", text)]
    assert max(sizes) >= guard.BODY  # what is too long is told so by the gallery, in words
    assert re.findall(r"server (\S+) max_fails=3", text) == ["a:1", "b:2"]
    assert re.findall(r"server (\S+) max_fails", text) == ["a:1", "b:2"]
    assert "@" not in text


@pytest.mark.parametrize(
    "wrong",
    [{"replicas": []}, {"replicas": ["a;b"]}, {"listen": "80; include x"}, {"prefix": "rnn"}, {"prefix": "/rnn/"}],
)
def test_what_is_no_address_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="look like"):
        proxy.configuration(**{"replicas": ["a:1"]} | wrong)


@needs_nginx
@pytest.mark.weights
@pytest.mark.parametrize("path", ["/", "/foundations", "/gradio_api/info", "/config", "/?tab=many_to_many&lang=zh-CN"])
def test_the_page_is_under_its_prefix_only(url: str, path: str) -> None:
    assert httpx.get(url + path).status_code == 200
    assert httpx.get(url.removesuffix(PREFIX) + path).status_code == 404


@needs_nginx
@pytest.mark.weights
def test_two_photos_in_a_programs_request_come_through(url: str) -> None:
    photo = "data:image/png;base64," + base64.b64encode(bytes(LIMITS.megabytes * 1_000_000)).decode()
    answer = httpx.post(f"{url}/gradio_api/call/caption", json={"data": [photo, photo]}, timeout=120)
    assert answer.status_code not in (413, 502)
    assert httpx.get(f"{url}/").headers["server"] == "nginx"


@needs_nginx
@pytest.mark.weights
def test_its_assets_and_redirects_keep_the_prefix(url: str) -> None:
    assert httpx.get(url).headers["location"] == f"{PREFIX}/"
    assert httpx.get(f"{url}/gradio_api/mcp").headers["location"] == f"{PREFIX}/gradio_api/mcp/"
    named = set(re.findall(r'(?:src|href)="(\./[^"]+)"', httpx.get(f"{url}/").text))
    assert len(named) >= 2
    assert all(httpx.get(urljoin(f"{url}/", name)).status_code == 200 for name in named)


@needs_nginx
@pytest.mark.weights
def test_a_photo_comes_through(client: Client) -> None:
    assert client.predict(photo=handle_file(PHOTO), language="en", api_name="/caption")["caption"]


@needs_nginx
@pytest.mark.weights
@pytest.mark.parametrize("megabytes", [LIMITS.megabytes + 0.5, LIMITS.megabytes + 5])
def test_a_file_that_is_too_large_is_refused(url: str, megabytes: float) -> None:
    answer = httpx.post(f"{url}/gradio_api/upload", files={"files": ("a.jpg", bytes(int(megabytes * 1e6)))})
    assert answer.status_code == 413


@needs_nginx
@pytest.mark.weights
def test_a_continuation_comes_in_pieces(client: Client) -> None:
    client.predict(text="宝玉", network="hongloumeng", length=1, api_name="/continue")
    job = client.submit(text="宝玉", network="hongloumeng", length=1500, api_name="/continue")
    times = [time.monotonic() for _ in job]
    assert job.result()["complete"]
    assert len(times) >= 5
    assert times[-2] - times[0] > 0.3  # one after the other, not all at the end


@needs_nginx
@pytest.mark.weights
def test_a_visitor_is_given_one_of_256_cookies_and_keeps_it(url: str, folder: Path) -> None:
    with httpx.Client() as visitor:
        first = visitor.get(f"{url}/").headers["set-cookie"]
        assert re.fullmatch(rf"gallery_replica=[0-9a-f]{{2}}; Path={PREFIX}/; HttpOnly; SameSite=Lax", first)
        assert "set-cookie" not in visitor.get(f"{url}/").headers
    assert "set-cookie" not in httpx.get(f"{url}/gradio_api/info").headers
    assert "127.0.0.1 " in (folder / LOG).read_text()  # who keeps no cookie is known by his address


@needs_nginx
@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM, reason="no Chromium")
def test_the_page_works_in_a_browser(url: str) -> None:
    with chromium() as browser:
        page, asked = browser.new_page(locale="en-GB"), []
        page.on("request", lambda request: asked.append(urlsplit(request.url)))
        page.goto(f"{url}/?tab=many_to_many")
        expect(page.locator(DONE)).to_be_attached(timeout=60_000)
        page.locator("#many_to_many-text textarea").fill("ROMEO:\n")
        page.get_by_role("button", name="Write", exact=True).click()
        expect(page.locator(f"{DONE} .token[data-role=read]")).to_have_count(len("ROMEO:\n"), timeout=60_000)
        page.locator("a.other-page").first.click()
        expect(page.locator("#foundations")).to_be_visible(timeout=30_000)
        assert urlsplit(page.url).path == f"{PREFIX}/foundations"
        strays = {a.path for a in asked if a.scheme == "http" and not a.path.startswith(f"{PREFIX}/")}
        assert strays <= {"/manifest.json"}
