"""Where the work is done: the quicker device, a borrowed GPU, and what the visitor is told of it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from demos import discover
from demos.base import Demo
from demos.text import words
from demos.views.trace import lines
from models import device

ROOT = Path(__file__).parent.parent

# A Space that lends its GPU: the package that it brings notes each loan. The GPU itself is the CPU here.
SPACE = """
import sys, types
spaces = types.ModuleType("spaces")
lent = []
def GPU(function):
    def borrow(*args):
        lent.append(function.__name__)
        for n, rows in enumerate(function(*args)):
            if n == {most}:
                raise RuntimeError("the loan is over")
            yield rows
    return borrow
spaces.GPU = GPU
sys.modules["spaces"] = spaces
import torch
torch.nn.Module.to = lambda self, *args, **kwargs: self
from demos import listing
texts = ["I loved it.", "I hated it."] * 70
listing.LONG = len(texts)
long = list(listing.verdicts(texts, "en", "gru"))
short = list(listing.verdicts(texts[:2], "en", "gru"))
print(len(long), [row["label"] for row in long[:2]] == [row["label"] for row in short], lent)
"""


class Module:
    """Something with a device."""

    def __init__(self) -> None:
        self.on: list[str] = []

    def to(self, name: str) -> "Module":
        self.on.append(name)
        return self


@pytest.mark.parametrize("quicker", ["cpu", "cuda"])
def test_a_module_stays_where_it_is_quicker(quicker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "devices", lambda: ["cpu", "cuda"])
    monkeypatch.setattr(device, "seconds", lambda module, _: 1.0 if module.on[-1] == quicker else 2.0)
    assert device.placed(Module(), print).on == ["cpu", "cuda", quicker]


def test_without_a_choice_nothing_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "devices", lambda: ["cpu"])
    assert device.placed(Module(), lambda _: pytest.fail("timed")).on == []


def test_the_first_try_does_not_count() -> None:
    calls: list[int] = []
    assert device.seconds(Module(), lambda _: calls.append(1)) >= 0
    assert len(calls) == 1 + device.TRIES


def test_elsewhere_nothing_is_borrowed() -> None:
    assert device.borrowing(print) is print


@pytest.mark.weights
@pytest.mark.parametrize("most", [100, 0, 1])
def test_a_long_list_borrows_a_gpu_and_ends_without(most: int) -> None:
    program = SPACE.replace("{most}", str(most))
    environment = {"SPACES_ZERO_GPU": "true", "PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip().endswith("140 True ['lent']"), done.stderr


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("demo", discover(), ids=lambda demo: demo.name)
def test_a_run_says_what_computed_it_and_an_example_does_not(demo: Demo) -> None:
    inputs = demo.check(demo.examples[0])
    heads: list[dict[str, Any]] = [json.loads(next(lines(demo, inputs, "run", kept=kept))) for kept in (False, True)]
    assert heads[0]["devices"]["tick"] == device.CPU
    assert all(f"unrolled.ran.{part}" in words("en") for part in heads[0]["devices"])
    assert "devices" not in heads[1]
