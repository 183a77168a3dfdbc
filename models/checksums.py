"""What the files of a network must be, to the bit: `SHA256SUMS` beside its weights.

python -m models.checksums          write them all, after a training or an evaluation
sha256sum -c SHA256SUMS             the same check by hand, in a network's folder
"""

from collections.abc import Collection
from hashlib import file_digest
from pathlib import Path

ROOT = Path(__file__).parent
NAME = "SHA256SUMS"
FILES = ("*.json", "*.safetensors")


class DamagedFileError(OSError):
    """A file that is missing or not what it was when the network was stored."""


def digest(path: Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def write(folder: Path) -> None:
    """Note the sums of a network's files."""
    found = sorted(path for pattern in FILES for path in folder.glob(pattern))
    (folder / NAME).write_text("".join(f"{digest(path)}  {path.name}\n" for path in found), "utf-8")


def check(folder: Path, only: Collection[str] = ()) -> None:
    """Compare a network's files, or `only` some of them, with their sums, where there are some;
    DamagedFileError where they differ."""
    if not (folder / NAME).exists():
        return
    for line in (folder / NAME).read_text("utf-8").splitlines():
        wanted, _, name = line.partition("  ")
        path = folder / Path(name).name
        if only and name not in only:
            continue
        if not path.is_file() or digest(path) != wanted:
            raise DamagedFileError(f"{folder.name}/{path.name} is missing or damaged")


if __name__ == "__main__":
    for config in sorted(ROOT.glob("*/*/config.json")):
        write(config.parent)
