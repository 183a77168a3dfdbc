"""What every training run shares: a step of the optimiser, averaged weights, checkpoints that resume."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn


@dataclass
class Settings:
    """A run's settings; the network's sizes stand in its config."""

    epochs: int = 60
    batch: int = 64
    rate: float = 2e-3  # AdamW's learning rate at its highest; a cosine takes it to zero
    decay: float = 0.01
    clip: float = 1.0
    average: float = 0.999  # exponential average of the weights, which is what ships
    seed: int = 1
    start: str = ""  # a folder of weights to go on from


def learning_rate(settings: Settings, done: float) -> float:
    """Warm up over the first hundredth, then a cosine to zero; `done` runs from 0 to 1."""
    return settings.rate * min(1, done / 0.01) * 0.5 * (1 + math.cos(math.pi * done))


def autocast(device: str) -> torch.autocast:
    """bfloat16, except on a processor that does not compute in it: there it is slow, and an LSTM fails."""
    able = torch.cpu.get_capabilities()
    quick = device != "cpu" or able.get("avx512_bf16", False) or able.get("amx_bf16", False)
    return torch.autocast(device, torch.bfloat16, enabled=quick)


class Run:
    """A network, its optimiser and the average of its weights, saved together."""

    def __init__(self, net: nn.Module, settings: Settings, device: str) -> None:
        self.settings, self.device, self.epoch = settings, device, 0
        # A run goes on with the same settings and sizes only.
        self.terms = json.dumps([asdict(settings), net.config.to_dict()], sort_keys=True, default=str)
        self.net = net.to(device).train()
        self.mean = torch.optim.swa_utils.AveragedModel(
            self.net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(settings.average)
        )
        self.optimiser = torch.optim.AdamW(
            self.net.parameters(), settings.rate, weight_decay=settings.decay, betas=(0.9, 0.99)
        )

    def descend(self, loss: Tensor, done: float) -> None:
        """One step of the optimiser along the gradient of `loss`."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.settings, done) * group.get("scale", 1.0)
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.settings.clip)
        self.optimiser.step()
        self.mean.update_parameters(self.net)

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a resumed run needs, by name, sharing memory with the run."""
        named = {f"net.{k}": v for k, v in self.net.named_parameters()}
        named |= {f"mean.{k}": v for k, v in self.mean.named_parameters()}
        named["mean.n_averaged"] = self.mean.n_averaged
        for name, parameter in self.net.named_parameters():
            for key, value in self.optimiser.state[parameter].items():
                named[f"adam.{name}.{key}"] = value
        return named

    def save(self, path: Path) -> None:
        """Write the checkpoint so that an interruption leaves the last one whole."""
        copies = {k: v.detach().clone().contiguous() for k, v in self.tensors().items()}
        metadata = {"epoch": str(self.epoch), "settings": self.terms}
        save_file(copies, path.with_suffix(".part"), metadata=metadata)
        path.with_suffix(".part").replace(path)

    def resume(self, path: Path) -> None:
        """Take up a checkpoint made with the same settings."""
        with safe_open(path, "pt", device=self.device) as file, torch.no_grad():
            if file.metadata()["settings"] != self.terms:
                raise SystemExit(f"{path} was made with other settings; move it away or use them")
            self.epoch = int(file.metadata()["epoch"])
            stored = set(file.keys())
            for name, parameter in self.net.named_parameters():
                if f"adam.{name}.step" in stored:  # not where nothing was learned
                    self.optimiser.state[parameter] = {
                        key: file.get_tensor(f"adam.{name}.{key}") for key in ("step", "exp_avg", "exp_avg_sq")
                    }
            for name, tensor in self.tensors().items():
                tensor.copy_(file.get_tensor(name))

    def export(self, folder: Path) -> None:
        """The averaged weights, in half precision, as a folder that loads by itself."""
        copy = type(self.net)(self.net.config)
        copy.load_state_dict(self.mean.module.state_dict())
        copy.half().save_pretrained(folder)
