"""The folder that is uploaded to a Space: python -m hosting.space OUT

Copies what the gallery needs to run, and no more, and checks it: the front matter of the README
against the pinned packages, the sizes, and that the hub will keep large files apart.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PARTS = ("app.py", "demos", "models", "hosting", "docs", "requirements.txt", "README.md", "README.zh-CN.md", "LICENSE")
LINKED = ("CONTRIBUTING.md", "benchmarks/RESULTS.md")  # what the README links to
LARGE = 10_000_000  # bytes; larger files must go through the hub's large-file storage
TOTAL = 500_000_000
ATTRIBUTES = "*.safetensors filter=lfs diff=lfs merge=lfs -text\n"
FRONT = (
    "title",
    "emoji",
    "colorFrom",
    "colorTo",
    "sdk",
    "sdk_version",
    "python_version",
    "app_file",
    "license",
    "short_description",
    "tags",
)
SHORT = 60  # characters of the short description


def files(root: Path = ROOT, *options: str) -> list[Path]:
    """The tracked files of the product, relative to its folder, or those that `git ls-files` lists with options."""
    command = ["git", "ls-files", "-z", *options]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    names = [Path(name) for name in listed.split("\0") if name]
    return [name for name in names if name.parts[0] in PARTS or name.as_posix() in LINKED]


def front_matter(readme: str) -> dict[str, str]:
    """The simple `key: value` lines between the README's first two rules."""
    block = re.match(r"---\n(.*?)\n---\n", readme, re.DOTALL)
    return dict(re.findall(r"^(\w+): *(.*)$", block[1], re.MULTILINE)) if block else {}


def faults(root: Path, names: list[Path]) -> list[str]:
    """What the hub would not take, or would show wrongly."""
    front = front_matter((root / "README.md").read_text("utf-8"))
    pinned = re.search(r"gradio\S*==(\S+)", (root / "requirements.txt").read_text("utf-8"))
    found = [f"the front matter has no {key}" for key in FRONT if not front.get(key)]
    if pinned is None or front.get("sdk_version") != pinned[1]:
        found.append("sdk_version is not the version of Gradio that is pinned")
    if not (root / front.get("app_file", "-")).is_file():
        found.append("app_file is not there")
    if len(front.get("short_description", "")) > SHORT:
        found.append(f"the short description has more than {SHORT} characters")
    found += [f"{name} is a link" for name in names if (root / name).is_symlink()]
    found += [f"{name} is not under git" for name in files(root, "--others", "--exclude-standard")]
    sizes = {name: (root / name).lstat().st_size for name in names}
    found += [f"{n} is large, but no weights" for n, s in sizes.items() if s > LARGE and n.suffix != ".safetensors"]
    return found + (["all files together are too large"] if sum(sizes.values()) > TOTAL else [])


def build(out: Path, root: Path = ROOT) -> list[str]:
    """Copy the files into an empty folder; the faults that were found, in which case nothing is copied."""
    names = files(root)
    wrong = faults(root, names) + ([f"{out} is not empty"] if out.exists() and any(out.iterdir()) else [])
    for name in [] if wrong else names:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, out / name)
    if not wrong:
        (out / ".gitattributes").write_text(ATTRIBUTES, "utf-8")
    return wrong


def main() -> None:
    """Build, and tell what was built."""
    out = Path(sys.argv[1])
    if wrong := build(out):
        raise SystemExit("\n".join(wrong))
    sizes = [path.stat().st_size for path in out.rglob("*") if path.is_file()]
    print(f"{out}: {len(sizes)} files, {sum(sizes) / 1e6:.1f} MB, {sum(s > LARGE for s in sizes)} of them large")
    print(f"upload it: hf upload OWNER/NAME {out} . --repo-type space")


if __name__ == "__main__":
    main()
