"""Read first, judge later: the recurrent layers learn to guess the next word (Dai & Le 2015, section 2).

    python -m models.sentiment.pretrain FOLDER --data FILE … --tokenizer FILE [--bidirectional yes …]

Both directions guess the word that they will read next. No label is needed, so every review
counts. `models.sentiment.train --start FOLDER` begins with what was learned here.
"""

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn
from tqdm import tqdm

from models import training
from models.sentiment.modeling import Sentiment, SentimentConfig, reversed_rows
from models.sentiment.train import Settings, batches, begin_with, command_line, encode, gather

RANDOM = 1000  # words besides those in the batch that a guess is weighed against


class Reader(Sentiment):
    """A sentiment network that guesses words instead: its state, back among the word vectors."""

    def __init__(self, config: SentimentConfig) -> None:
        super().__init__(config)
        self.guess = nn.Linear(config.hidden_size, config.embedding_size)

    def nats(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Cross-entropy of each next word among the batch's words and some random ones
        (B, T) -> scalar; the softmax over all words would take most of the time."""
        drawn = torch.randint(self.config.vocab_size, (RANDOM,), device=ids.device)
        words = torch.cat([ids.flatten(), drawn]).unique()  # (K,) sorted
        place = torch.searchsorted(words, ids)  # (B, T)
        inside = torch.arange(ids.shape[1] - 1, device=ids.device)[None] < lengths[:, None] - 1
        total = ids.new_zeros(())
        readings = [(self.forwards, ids, place)]
        if self.backwards is not None:
            readings.append((self.backwards, reversed_rows(ids, lengths), reversed_rows(place, lengths)))
        for layers, order, target in readings:
            states = self.read(layers, self.input_dropout(self.embedding(order)))[:, :-1]  # (B, T-1, H)
            logits = self.guess(states[inside]) @ self.embedding.weight[words].T  # (N, K)
            total = total + F.cross_entropy(logits.float(), target[:, 1:][inside])
        return total / len(readings)


def pretrain(out: Path, data: list[str], config: dict, settings: Settings, tokenizer: Tokenizer) -> None:
    """Train, checkpoint after every epoch, save the averaged weights."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    texts, labels, shares = gather(data)
    ids = encode(tokenizer, texts)
    torch.manual_seed(settings.seed)
    config |= {"vocab_size": tokenizer.get_vocab_size()}
    net = Reader(SentimentConfig(**config))
    if settings.vectors:
        begin_with(net, Path(settings.vectors), tokenizer)
    run = training.Run(net, settings, device)
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / "checkpoint.safetensors"
    if checkpoint.exists():
        run.resume(checkpoint)
    while run.epoch < settings.epochs:
        torch.manual_seed(settings.seed + run.epoch)
        if settings.piece_dropout:
            ids = encode(tokenizer, texts, settings.piece_dropout)
        every, mean = list(batches(ids, labels, shares, settings, run.epoch)), math.nan
        bar = tqdm(every, f"epoch {run.epoch + 1}/{settings.epochs}", mininterval=10)
        for i, (rows, lengths, _) in enumerate(bar):
            if lengths.max() < 2:
                continue
            with training.autocast(device):
                loss = run.net.nats(rows.to(device), lengths.to(device))
            run.descend(loss, (run.epoch + i / len(every)) / settings.epochs)
            mean = loss.item() if math.isnan(mean) else 0.98 * mean + 0.02 * loss.item()
            bar.set_postfix(nats=f"{mean:.3f}", refresh=False)
        run.epoch += 1
        run.save(checkpoint)
        run.export(out)
        print(f"nats {mean:.3f}", flush=True)


def main() -> None:
    """Pretrain what the command line asks for."""
    out, args, config, settings, tokenizer = command_line(__doc__)
    pretrain(out, args["data"], config, settings, tokenizer)


if __name__ == "__main__":
    main()
