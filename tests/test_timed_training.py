from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from tools.train.timed import TimedTraining


@dataclass(frozen=True)
class Settings:
    out: Path
    minutes: float = 60.0
    every: float = 1.0
    lr: float = 0.01
    ema: float = 0.9


class Net(nn.Conv2d):
    def __init__(self, config=None):
        super().__init__(2, 3, 1)
        self.config = config


def run(training, steps):
    for _ in range(steps):
        picture = torch.rand(1, 2, 4, 4, generator=torch.Generator().manual_seed(training.step))
        training.descend(training.model(picture).square().mean())


def start(out):
    torch.manual_seed(0)
    return TimedTraining(Net(), Settings(out), warm_up=5, weight_decay=0.01)


def test_a_restart_goes_on_to_the_bit(tmp_path):
    whole = start(tmp_path / "whole")
    run(whole, 8)
    first = start(tmp_path / "parts")
    run(first, 3)
    first.report({"people": 1})
    second = start(tmp_path / "parts")
    assert second.step == 3
    run(second, 5)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name])
        assert torch.equal(whole.ema[name], second.ema[name])
    assert not torch.equal(whole.ema["weight"], whole.model.weight)
    assert '"people": 1' in (tmp_path / "parts" / "log.jsonl").read_text()
