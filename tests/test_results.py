"""What the benchmarks write down, and that they judge it."""

from pathlib import Path

import pytest

from benchmarks import load, page, results, startup, together
from benchmarks.results import Bound


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(results, "PATH", tmp_path / "RESULTS.md")
    return tmp_path / "RESULTS.md"


BOUNDS = {"times_as_fast": Bound(least=4), "errors": Bound(most=0)}


def test_a_kept_bound_stands_beside_its_figure(path: Path) -> None:
    results.save("speed", {"times_as_fast": 4.0, "errors": 0, "runs": 7}, BOUNDS)
    results.save("size", {"bytes": 3})
    text = path.read_text("utf-8")
    assert "| times as fast | 4 | at least 4 |" in text
    assert "| errors | 0 | at most 0 |" in text
    assert "| runs | 7 |  |" in text
    assert text.index("## size") < text.index("## speed")


@pytest.mark.parametrize(
    "figures", [{"times_as_fast": 3.99, "errors": 0}, {"times_as_fast": 5, "errors": 1}, {"times_as_fast": 5}]
)
def test_a_missed_bound_ends_the_benchmark(path: Path, figures: dict[str, float]) -> None:
    with pytest.raises(SystemExit, match=r"errors|times_as_fast"):
        results.save("speed", figures, BOUNDS)
    assert "## speed" in path.read_text("utf-8")  # and is written down


def test_every_benchmark_of_serving_is_judged() -> None:
    assert all(benchmark.BOUNDS for benchmark in (load, page, startup, together))
