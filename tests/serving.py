"""The gallery as a process of its own, and a Chromium to look at it."""

import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Any

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parent.parent
CHROMIUM = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextmanager
def gallery(root: Path = ROOT, **settings: str) -> Iterator[str]:
    """`python app.py` on a free port; yields its address once it answers."""
    with process_of(settings, root) as (url, _):
        yield url


@contextmanager
def process_of(
    settings: Mapping[str, str], root: Path = ROOT, program: Sequence[str] = ("app.py",)
) -> Iterator[tuple[str, subprocess.Popen]]:
    """The same with more variables in its environment, or by another program; yields its process, too."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    environment = os.environ | {"GRADIO_SERVER_PORT": str(port), "GRADIO_SERVER_NAME": "127.0.0.1"} | settings
    process = subprocess.Popen([sys.executable, *program], cwd=root, env=environment, stdout=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            with suppress(urllib.error.URLError), urllib.request.urlopen(url):
                break
            Event().wait(0.1)
        assert process.poll() is None, "the gallery ended before it answered"
        yield url, process
    finally:
        process.terminate()
        process.wait()


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium of the system."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def packed_inputs(config: dict[str, Any]) -> dict[int, list[int]]:
    """The component that holds a run's inputs as JSON -> the components from which they come."""
    return {d["outputs"][0]: d["inputs"] for d in config["dependencies"] if d["outputs"] and not d["backend_fn"]}
