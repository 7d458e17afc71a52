"""What trainings with a clock share: rate, steps, averaged weights, checkpoint and log."""

import json
import math
import time
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from toolkit.run.files import atomic_path


class TimedSettings(Protocol):
    """What the clock needs of a command's options."""

    out: Path
    minutes: float
    every: float
    lr: float
    ema: float


class TimedTraining:
    """A network, its optimiser and counters; all of them survive a restart.

    The learning rate follows a cosine over `settings.minutes` of training time, which counts across
    restarts.

    Args:
        model: the network; parameters without a gradient stay as they are.
        settings: of the command.
        warm_up: steps over which the rate rises at first.
        weight_decay: of AdamW.
    """

    def __init__(
        self, model: nn.Module, settings: TimedSettings, *, warm_up: int, weight_decay: float
    ):
        self.settings, self.warm_up = settings, warm_up
        self.model = model.to(memory_format=torch.channels_last)
        self.learnt = [p for p in self.model.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(self.learnt, settings.lr, weight_decay=weight_decay)
        self.ema = {k: v.clone() for k, v in self.model.state_dict().items()}
        self.step, self.seconds = 0, 0.0
        self.checkpoint = settings.out / "checkpoint.pt"
        if self.checkpoint.exists():
            saved = torch.load(self.checkpoint, weights_only=True)
            self.model.load_state_dict(saved["model"])
            self.optimiser.load_state_dict(saved["optimiser"])
            self.ema, self.step, self.seconds = saved["ema"], saved["step"], saved["seconds"]
        self._clock, self._reported = time.monotonic(), self.seconds

    @property
    def progress(self) -> float:
        """Share of the minutes that are used up."""
        return min(1.0, self.seconds / (60 * self.settings.minutes))

    def descend(self, loss: Tensor) -> float:
        """One step of the optimiser and of the averaged weights; returns the loss."""
        warm_up = min(1.0, (self.step + 1) / self.warm_up)
        rate = self.settings.lr * warm_up * (0.5 + 0.5 * math.cos(math.pi * self.progress))
        self.optimiser.param_groups[0]["lr"] = rate
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.learnt, 1.0)
        self.optimiser.step()
        self.step += 1
        # The average forgets faster in the beginning, when the weights still move far.
        decay = min(self.settings.ema, (1 + self.step) / (10 + self.step))
        for key, value in self.model.state_dict().items():
            if value.is_floating_point():
                self.ema[key].lerp_(value, 1 - decay)
        return loss.item()

    def tick(self) -> bool:
        """Count the time since the last call; whether a report is due."""
        now = time.monotonic()
        self.seconds, self._clock = self.seconds + now - self._clock, now
        due = self.progress == 1 or self.seconds - self._reported > 60 * self.settings.every
        if due:
            self._reported = self.seconds
        return due

    def averaged(self) -> nn.Module:
        """The model with the averaged weights."""
        model = type(self.model)(self.model.config)
        model.load_state_dict(self.ema)
        return model.eval()

    @property
    def notes(self) -> dict[str, str]:
        """For the metadata of the weights."""
        return {"step": str(self.step), "minutes": f"{self.seconds / 60:.1f}"}

    def report(self, row: dict) -> None:
        """Write the checkpoint, and a line of the log that begins with step and minutes."""
        self.settings.out.mkdir(parents=True, exist_ok=True)
        state = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "ema": self.ema,
            "step": self.step,
            "seconds": self.seconds,
        }
        with atomic_path(self.checkpoint) as tmp:
            torch.save(state, tmp)
        line = json.dumps({"step": self.step, "minutes": round(self.seconds / 60, 1)} | row)
        with open(self.settings.out / "log.jsonl", "a") as file:
            file.write(line + "\n")
        print(line, flush=True)
