"""What ran in the full variant of a notebook: which weights, and on which device.

A notebook prints it in its check cell, and the runner of the GPU lane reads it back. So a lane in
which a notebook quietly did something else, or took random weights, is not green.
"""

import re
from dataclasses import dataclass

import torch

from toolkit.errors import MissingCapabilityError, fail
from toolkit.weights.table import WEIGHTS

OTHERS = ("gsplat", "hy3dgen")  # of the full profile, but no weights of the table
MARK = "(stand-in)"
LINE = re.compile(
    r"^full profile ran (?P<models>.+) on (?P<device>cpu|cuda(?::\d+)?)"
    r"(?:, at most (?P<gb>[\d.]+) GB)?$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class FullRun:
    """What ran.

    Attributes:
        models: published names, those of stand-ins marked with "(stand-in)".
        device: of the networks.
        peak_gb: the most memory that torch held on this GPU; None on a CPU.
    """

    models: tuple[str, ...]
    device: str
    peak_gb: float | None = None

    def __str__(self) -> str:
        memory = "" if self.peak_gb is None else f", at most {self.peak_gb:.2f} GB"
        return f"full profile ran {', '.join(self.models)} on {self.device}{memory}"

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """The models that were not the published ones."""
        return tuple(name for name in self.models if name.endswith(MARK))

    @staticmethod
    def read(text: str) -> "FullRun | None":
        """The last such line of a text; None if there is none."""
        found = list(LINE.finditer(text))
        if not found:
            return None
        models, device, gb = found[-1]["models"], found[-1]["device"], found[-1]["gb"]
        return FullRun(tuple(models.split(", ")), device, None if gb is None else float(gb))


def check_full_run(device: str, *models: str) -> FullRun:
    """Make sure that published models ran, and on the GPU if that is the device.

    A dry run, on a CPU with stand-ins, passes too: what it returns says so.

    Args:
        device: of the networks, "cpu", "cuda" or "cuda:N".
        models: names of weights, as `weights.sets.label` returns them, "gsplat" or "hy3dgen".

    Raises:
        InputError: no model, or one that is neither published nor marked as a stand-in.
        MissingCapabilityError: torch held no memory on the GPU.
    """
    known = (*WEIGHTS, *OTHERS)
    if not models or (strangers := [m for m in models if m not in known and MARK not in m]):
        fail(
            "Models of the full profile",
            got=", ".join(strangers) if models else "none",
            wanted=f'published names ({known[0]}, ...), or names marked "{MARK}"',
            fix="Name them with toolkit.weights.label.",
        )
    if torch.device(device).type == "cpu":
        return FullRun(models, device)
    peak_gb = torch.cuda.max_memory_allocated(device) / 1e9
    if peak_gb == 0:
        fail(
            f"{', '.join(models)} on {device}",
            got="no memory in use on this GPU at any time",
            wanted="networks or Gaussians on it",
            fix="Move them to the device, or say on which one they ran.",
            kind=MissingCapabilityError,
        )
    return FullRun(models, device, peak_gb)
