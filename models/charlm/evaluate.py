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

from models.charlm.data import CORPORA, END, FORMS, OTHER, form_of, has_form, poem_ids, read_book, read_poems, split
from models.charlm.modeling import CharLM
from models.charlm.network import Network
from models.sampling import draw, soften

PIECE = 8192  # characters read in one call
POEMS, TEMPERATURE, SEED = 200, 0.8, 1
HERE = Path(__file__).parent


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


def nats_of_poems(net: CharLM, poems: list[list[int]]) -> float:
    """Nats for all tokens after the form token, each poem from the zero state."""
    total, poems = 0.0, sorted(poems, key=len)
    while poems:
        count = max(1, PIECE // len(poems[-1]))  # as many of the longest as one call may hold
        rows, poems = [torch.tensor(p) for p in poems[-count:]], poems[:-count]
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
def evaluate(folder: Path, data: Path, forms_only: bool = False) -> dict[str, float | int | str]:
    """The scores of the network in `folder` on the file `data`; of poems perhaps only those in
    one of the four forms."""
    start, network = time.perf_counter(), Network(folder)
    corpus, result = network.config["corpus"], {}
    if CORPORA[corpus].poems:
        poems = [network.normalise(poem) for poem in read_poems(data)]
        poems = [poem for poem in poems if not forms_only or form_of(poem) != OTHER]
        nats = nats_of_poems(network.module, [poem_ids(poem, network.tokenizer) for poem in poems])
        characters = sum(len(poem.replace("\n", "")) for poem in poems)
        result["form"] = share_in_form(network)
    else:
        text = read_book(data, corpus)
        if len(text) == network.config["corpus_characters"]:
            text = split(text, corpus)[1]
        ids = network.encode(network.normalise(text))
        nats, characters = nats_of_text(network.module, ids), len(ids) - 1
    if characters < 1:
        raise SystemExit(f"{data} holds nothing to score")
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
    """Keep a shipped network's scores beside its weights, any other's in the comparison of
    cells, and write the model card's tables anew."""
    config = json.loads((folder / "config.json").read_text("utf-8"))
    kept = {k: v for k, v in scores.items() if k not in ("seconds", "device")}
    kept = {"cell": config["cell"], "parameters": Network(folder).parameters} | kept
    if folder.resolve().parent == HERE:
        write_json(folder / "scores.json", kept)
    else:
        cells = json.loads((HERE / "cells.json").read_text("utf-8")) if (HERE / "cells.json").exists() else {}
        write_json(HERE / "cells.json", cells | {config["cell"]: kept})
    card = (HERE / "README.md").read_text("utf-8")
    for name, rows in tables().items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        card = card.split(begin)[0] + begin + rows + end + card.split(end)[1]
    (HERE / "README.md").write_text(card, "utf-8")


def write_json(path: Path, content: dict) -> None:
    """Indented, so that a change of one figure is a change of one line."""
    path.write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def tables() -> dict[str, str]:
    """The model card's tables: the shipped networks, and the cells compared."""
    shipped = {p.parent.name: json.loads(p.read_text("utf-8")) for p in sorted(HERE.glob("*/scores.json"))}
    cells = json.loads((HERE / "cells.json").read_text("utf-8")) if (HERE / "cells.json").exists() else {}
    return {"scores": markdown("network", shipped), "cells": markdown("trained alike", cells)}


def markdown(title: str, rows: dict[str, dict]) -> str:
    """Scores as a Markdown table."""
    lines = [f"| {title} | cell | parameters | nats / character | bits / character | form kept |"]
    lines.append("|---|---|--:|--:|--:|--:|")
    for name, row in rows.items():
        form = f"{row['form']:.1%}" if "form" in row else ""
        lines.append(
            f"| `{name}` | {row['cell']} | {row['parameters']:,} "
            f"| {row['nats_per_char']:.4f} | {row['bits_per_char']:.4f} | {form} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """NETWORK is a folder's name beside this file, or a path to one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("network")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--forms", action="store_true", help="of poems only those in one of the four forms")
    parser.add_argument("--save", action="store_true", help="write scores.json and the model card's table")
    args = parser.parse_args()
    ours = HERE / args.network
    folder = ours if ours.exists() else Path(args.network)
    scores = evaluate(folder, args.data, args.forms)
    if args.save:
        save(folder, scores)
    print(json.dumps(scores))


if __name__ == "__main__":
    main()
