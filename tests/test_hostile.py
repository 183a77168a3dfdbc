"""Thousands of hostile requests to one running gallery: each gets a result or a sentence, and no more."""

import re
from collections import Counter
from collections.abc import Iterator

import pytest
from gradio_client import Client

from tests.hostile import MARKER, Gallery, Outcome, all_shots, fire, logged_gallery

pytestmark = pytest.mark.weights
FAMILIES = ("api", "raw", "private", "server", "mcp", "file", "link", "page", "upload", "opened")


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    with logged_gallery(tmp_path_factory.mktemp("gallery")) as running:
        yield running


@pytest.fixture(scope="module")
def outcomes(gallery: Gallery) -> list[Outcome]:
    return fire(gallery, all_shots(gallery))


def report(wrong: list[Outcome]) -> str:
    """How often each thing went wrong, and where first."""
    counts = Counter(outcome.wrong for outcome in wrong)
    first = {outcome.wrong: outcome.shot for outcome in reversed(wrong)}
    return "\n".join(f"{count} × {name}: {first[name]}" for name, count in counts.most_common())


def test_there_are_thousands(outcomes: list[Outcome]) -> None:
    assert len(outcomes) >= 3000
    assert {outcome.shot.family for outcome in outcomes} == set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_gets_a_result_or_a_sentence_and_nothing_of_the_machine(outcomes: list[Outcome], family: str) -> None:
    wrong = [outcome for outcome in outcomes if outcome.shot.family == family and outcome.wrong]
    assert not wrong, f"{len(wrong)} of {family}:\n{report(wrong)}"


def test_no_visitors_text_is_in_the_log(gallery: Gallery, outcomes: list[Outcome]) -> None:
    start = MARKER[:7]  # long values are printed with their middle left out
    lines = [line for line in gallery.log.read_text("utf-8", "replace").splitlines() if start in line]
    kinds = Counter(re.sub(f"{start}.*", "…", line.strip())[:120] for line in lines)
    assert not lines, "\n".join(f"{count} × {kind}" for kind, count in kinds.most_common(40))


def test_afterwards_every_function_answers_as_ever(gallery: Gallery, outcomes: list[Outcome]) -> None:
    assert gallery.process.poll() is None
    client = Client(gallery.url, verbose=False)
    assert client.predict(photo="shepherd", api_name="/caption")["complete"]
    assert client.predict(text="A wonderful film.", api_name="/sentiment")["label"] == "positive"
    assert len(client.predict(text="ROMEO:\n", length=9, api_name="/continue")["continuation"]) == 9
    assert client.predict(text="To be", api_name="/read")["bits_per_character"] > 0
