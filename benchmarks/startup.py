"""How soon is the page there? python -m benchmarks.startup

From starting the process to the page's answer, against a bare `gr.Blocks` with one line of text;
both in turn, five times each, and the medians are compared.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from benchmarks.results import Bound, save
from tests.serving import ROOT, free_port

ROUNDS = 5
BOUNDS = {"times_bare_blocks": Bound(most=1.3)}
HELLO = 'import gradio as gr\nwith gr.Blocks() as page:\n    gr.Markdown("hello")\npage.launch()\n'


def seconds(script: Path) -> float:
    """Until the page of a script answers in full."""
    port = free_port()
    environment = os.environ | {"GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False"}
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, script], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as page:
                    page.read()
                return time.perf_counter() - begun
            except OSError:
                time.sleep(0.005)
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Print and store the medians."""
    with tempfile.TemporaryDirectory() as folder:
        hello = Path(folder) / "hello.py"
        hello.write_text(HELLO)
        rounds = [(seconds(hello), seconds(ROOT / "app.py")) for _ in range(ROUNDS)]
    bare, gallery = (statistics.median(column) for column in zip(*rounds, strict=True))
    figures = {"bare_blocks_seconds": bare, "gallery_seconds": gallery, "times_bare_blocks": gallery / bare}
    save("startup", figures, BOUNDS)


if __name__ == "__main__":
    main()
