"""nginx before galleries, as a process of its own, in a folder of its own."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

from hosting.proxy import configuration
from tests.serving import free_port

NGINX = shutil.which("nginx", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
LOG = "replicas.log"  # visitor, replica, status and seconds of each request


@contextmanager
def proxied(folder: Path, urls: Sequence[str], prefix: str = "") -> Iterator[str]:
    """nginx on a free port before galleries; yields the address of the page."""
    listen = f"127.0.0.1:{free_port()}"
    replicas = [url.removeprefix("http://") for url in urls]
    (folder / "nginx.conf").write_text(configuration(replicas, listen, prefix, f"{LOG} replica"), "utf-8")
    command = [NGINX, "-p", f"{folder}/", "-c", str(folder / "nginx.conf")]
    if os.getuid() == 0:
        command += ["-g", "user root;"]  # nobody else may enter a temporary folder
    process = subprocess.Popen(command)
    try:
        wait(listen, process)
        yield f"http://{listen}{prefix}"
    finally:
        process.terminate()
        process.wait()


def wait(listen: str, process: subprocess.Popen) -> None:
    """Until nginx takes connections."""
    host, port = listen.split(":")
    while process.poll() is None:
        with suppress(OSError), socket.create_connection((host, int(port)), 1):
            return
        Event().wait(0.05)
    raise AssertionError("nginx ended before it answered")
