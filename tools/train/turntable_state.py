"""What a restart of the turntable training needs, on disk and in memory."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from toolkit.measure.perceptual import EfficientNetLite
from toolkit.prior.turntable.model import TurntablePrior
from toolkit.run.files import atomic_path
from tools.train.critic import Critic


@dataclass
class State:
    """Networks, optimisers and counters.

    Attributes:
        ema: averaged weights, by name.
        seconds: of training so far, restarts included.
        features, critic, critic_optimiser: only for steps that judge pictures; a restart begins
            with a new critic, which learns again within minutes.
    """

    model: TurntablePrior
    optimiser: torch.optim.AdamW
    ema: dict[str, Tensor] = field(default_factory=dict)
    step: int = 0
    seconds: float = 0.0
    features: EfficientNetLite | None = None
    critic: Critic | None = None
    critic_optimiser: torch.optim.Adam | None = None


def save_checkpoint(state: State, path: Path) -> None:
    """Weights, averaged weights and AdamW's two moments in one safetensors file."""
    tensors = {f"model.{k}": v for k, v in state.model.state_dict().items()}
    tensors |= {f"ema.{k}": v for k, v in state.ema.items()}
    for name, parameter in state.model.named_parameters():
        moments = state.optimiser.state[parameter]
        tensors |= {f"first.{name}": moments["exp_avg"], f"second.{name}": moments["exp_avg_sq"]}
    with atomic_path(path) as tmp:
        save_file(
            {k: v.contiguous() for k, v in tensors.items()},
            tmp,
            metadata={"step": str(state.step), "seconds": str(state.seconds)},
        )


def load_checkpoint(state: State, path: Path) -> None:
    """Fill a fresh state from a checkpoint."""
    with safe_open(str(path), "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}
        state.step = int(file.metadata()["step"])
        state.seconds = float(file.metadata()["seconds"])

    def part(name: str) -> dict[str, Tensor]:
        return {k.removeprefix(name): v for k, v in tensors.items() if k.startswith(name)}

    state.model.load_state_dict(part("model."))
    state.ema = part("ema.")
    first, second = part("first."), part("second.")
    for name, parameter in state.model.named_parameters():
        state.optimiser.state[parameter] = {
            "step": torch.tensor(float(state.step)),
            "exp_avg": first[name],
            "exp_avg_sq": second[name],
        }
