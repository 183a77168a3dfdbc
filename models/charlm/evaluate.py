"""Score a character model: python -m models.charlm.evaluate NETWORK --data FILE

The last line is one JSON object. Given the whole file that a book's network was trained
from, only the part that it never saw is scored; any other text is scored whole, and so are
poems, each from the zero state. The state is carried from the first character to the last.
For poems, the nats spent on line breaks and on the end count, but not as characters.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from models.charlm.data import CORPORA, END, FORMS, has_form, poem_ids, read_book, read_poems, split
from models.charlm.modeling import CharLM
from models.charlm.network import Network
from models.sampling import draw, soften

PIECE = 4096  # characters read in one call
POEMS, TEMPERATURE, SEED = 200, 0.8, 1
MARKS = ("<!-- scores -->", "<!-- end of scores -->")  # around the model card's table


def nats_of_text(net: CharLM, ids: list[int]) -> float:
    """Nats for all characters but the first, the state carried over the whole text."""
    total, state = 0.0, None
    tokens = torch.tensor(ids, device=net.device)
    for t in range(0, len(ids) - 1, PIECE):
        target = tokens[t + 1 : t + 1 + PIECE]
        out = net(tokens[None, t : t + len(target)], state)
        total += F.cross_entropy(out.logits[0], target, reduction="sum").item()
        state = out.state
    return total


def nats_of_poems(net: CharLM, poems: list[list[int]], batch: int = 64) -> float:
    """Nats for all tokens after the form token, each poem from the zero state."""
    total = 0.0
    poems = sorted(poems, key=len)
    for i in range(0, len(poems), batch):
        rows = [torch.tensor(p) for p in poems[i : i + batch]]
        both = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-100).to(net.device)
        logits = net(both[:, :-1].clamp(min=0)).logits.flatten(0, 1)
        total += F.cross_entropy(logits, both[:, 1:].flatten(), ignore_index=-100, reduction="sum").item()
    return total


def sample_poems(network: Network, form: str, count: int, rng: np.random.Generator) -> Iterator[str]:
    """`count` poems side by side, nothing masked, until each has ended or run too long."""
    lines, length = FORMS[form]
    state, written = network.zero(count), []
    ids = [network.tokenizer.token_to_id(form)] * count
    for _ in range(2 * lines * (length + 2)):
        logits, state, _ = network.tick(ids, state)
        chances = soften(logits, TEMPERATURE)
        ids = [draw(p, u) for p, u in zip(chances, rng.random(count), strict=True)]
        written.append([network.tokens[i] for i in ids])
    for tokens in zip(*written, strict=True):
        yield "".join(tokens).partition(END)[0]


def share_in_form(network: Network) -> float:
    """The share of sampled poems, equally many of each form, that keep their form."""
    rng, kept = np.random.default_rng(SEED), 0
    for form, (lines, length) in FORMS.items():
        poems = sample_poems(network, form, POEMS // len(FORMS), rng)
        kept += sum(has_form(poem, lines, length) for poem in poems)
    return kept / POEMS


@torch.inference_mode()
def evaluate(folder: Path, data: Path) -> dict[str, float | int | str]:
    """The scores of the network in `folder` on the file `data`."""
    start, network = time.perf_counter(), Network(folder)
    corpus, result = network.config["corpus"], {}
    if CORPORA[corpus].poems:
        poems = [network.normalise(poem) for poem in read_poems(data)]
        nats = nats_of_poems(network.module, [poem_ids(poem, network.tokenizer) for poem in poems])
        characters = sum(len(poem.replace("\n", "")) for poem in poems)
        result["form"] = share_in_form(network)
    else:
        text = read_book(data, corpus)
        if len(text) == network.config["corpus_characters"]:
            text = split(text, corpus)[1]
        ids = network.encode(text)
        nats, characters = nats_of_text(network.module, ids), len(ids) - 1
    per_char = nats / characters
    return {
        "nats_per_char": per_char,
        "bits_per_char": per_char / math.log(2),
        "perplexity": math.exp(per_char),
        "characters": characters,
        **result,
        "seconds": time.perf_counter() - start,
        "device": str(network.module.device),
    }


def save(folder: Path, scores: dict[str, float | int | str]) -> None:
    """Keep the scores beside the weights and write the model card's table anew."""
    parameters = Network(folder).parameters
    kept = {k: v for k, v in scores.items() if k not in ("seconds", "device")} | {"parameters": parameters}
    (folder / "scores.json").write_text(json.dumps(kept, indent=2) + "\n", "utf-8")
    card = folder.parent / "README.md"
    before, after = card.read_text("utf-8").split(MARKS[0])[0], card.read_text("utf-8").split(MARKS[1])[1]
    card.write_text(before + MARKS[0] + "\n" + table(folder.parent) + MARKS[1] + after, "utf-8")


def table(family: Path) -> str:
    """The scores of all networks of a family as Markdown rows."""
    rows = [
        "| network | cell | parameters | nats / character | bits / character | form kept |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for path in sorted(family.glob("*/scores.json")):
        scores, config = (json.loads(path.with_name(n).read_text("utf-8")) for n in ("scores.json", "config.json"))
        form = f"{scores['form']:.1%}" if "form" in scores else ""
        rows.append(
            f"| `{path.parent.name}` | {config['cell']} | {scores['parameters']:,} "
            f"| {scores['nats_per_char']:.4f} | {scores['bits_per_char']:.4f} | {form} |"
        )
    return "\n".join(rows) + "\n"


def main() -> None:
    """NETWORK is a folder's name beside this file, or a path to one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("network")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--save", action="store_true", help="write scores.json and the model card's table")
    args = parser.parse_args()
    ours = Path(__file__).parent / args.network
    folder = ours if ours.exists() else Path(args.network)
    scores = evaluate(folder, args.data)
    if args.save:
        save(folder, scores)
    print(json.dumps(scores))


if __name__ == "__main__":
    main()
