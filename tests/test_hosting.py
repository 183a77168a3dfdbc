"""What is uploaded to a Space, and what is packed into an image."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hosting import space
from tests.serving import ROOT


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """A small product in a repository of its own."""
    root = tmp_path / "product"
    for name in ("app.py", "demos/a.py", "models/m.safetensors", "tests/t.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    for name in ("README.md", "requirements.txt"):
        shutil.copy(ROOT / name, root)
    subprocess.run("git init -q && git add -A", shell=True, cwd=root, check=True)
    return root


def test_the_space_holds_what_runs_and_no_more(product: Path, tmp_path: Path) -> None:
    assert space.build(tmp_path / "out", product) == []
    found = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    wanted = {"app.py", "demos/a.py", "models/m.safetensors", "README.md", "requirements.txt", ".gitattributes"}
    assert found == wanted


def spoil_front(root: Path, old: str, new: str) -> None:
    text = (root / "README.md").read_text("utf-8")
    assert old in text
    (root / "README.md").write_text(text.replace(old, new, 1), "utf-8")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("sdk_version: 6", "sdk_version: 5", "sdk_version"),
        ("app_file: app.py", "app_file: main.py", "app_file"),
        ("license: apache-2.0\n", "", "license"),
        ("short_description: ", "short_description: " + "very " * 20, "short description"),
        ("---\n", "", "front matter"),
    ],
)
def test_a_wrong_front_matter_is_refused(product: Path, tmp_path: Path, old: str, new: str, fault: str) -> None:
    spoil_front(product, old, new)
    assert any(fault in wrong for wrong in space.build(tmp_path / "out", product))
    assert not (tmp_path / "out").exists()


def test_large_files_and_links_are_refused(product: Path, tmp_path: Path) -> None:
    (product / "demos/film.mp4").write_bytes(bytes(space.LARGE + 1))
    (product / "demos/link.py").symlink_to("/nowhere")
    subprocess.run(["git", "add", "-A"], cwd=product, check=True)
    (product / "demos/notes.py").write_text("x")
    wrong = ["demos/film.mp4 is large, but no weights", "demos/link.py is a link", "demos/notes.py is not under git"]
    assert sorted(space.build(tmp_path / "out", product)) == wrong


def test_the_real_product_can_be_uploaded() -> None:
    names = space.files()
    assert space.faults(ROOT, names) == []
    assert not [name for name in names if name.parts[0] in ("tests", "benchmarks") and name.name != "RESULTS.md"]


def test_the_dockerfile_is_lint_free() -> None:
    linter = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([linter, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_runs_as_nobody_special_and_tells_its_health() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    assert re.search(r"(?m)^USER (?!root)", text)
    assert "HEALTHCHECK" in text
    assert re.search(r'(?m)^CMD \["python", "app.py"\]$', text)
    for part in ("app.py", "demos", "models", "hosting/guard.py", "requirements.txt"):
        assert re.search(rf"(?m)^COPY .*\b{part}", text), part
