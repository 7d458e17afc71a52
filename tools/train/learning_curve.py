"""How much is left to learn? A power law through the training log of the coarse model.

    python -m tools.train.learning_curve runs/coarse/log.txt

Fits loss = floor + scale * step^-power to the mean loss of each logged interval (least squares; the
power on a grid, the others in closed form) and says what ten times the steps would bring. The
cosine schedule lowers the loss towards its end, so the extrapolation is rather too good than too
bad. All people of a training are there from its first step, so it says nothing about more people.
"""

import re
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from jaxtyping import Float

from toolkit.errors import MissingFileError, fail
from tools.command import run

POWERS = np.linspace(0.02, 2.0, 199)
LINE = re.compile(r"step (\d+) .*image loss ([\d.]+)")
Samples = Float[np.ndarray, " N"]


def read_log(path: Path) -> tuple[Samples, Samples]:
    """Steps and image losses of each interval that `tools.train.coarse` logged.

    Raises:
        MissingFileError, InputError: no log, or no line of the training in it.
    """
    if not path.is_file():
        raise MissingFileError(f"{path} is missing. Make it with: python -m tools.train.coarse")
    matches = [m for line in path.read_text().splitlines() if (m := LINE.search(line))]
    if not matches:
        fail(str(path), got="no interval", wanted="lines of tools.train.coarse", fix="Train first.")
    rows = np.array([[float(m[1]), float(m[2])] for m in matches])
    return rows[:, 0], rows[:, 1]


def fit_power_law(steps: Samples, losses: Samples) -> tuple[float, float, float]:
    """Floor (>= 0), scale and power of the best curve."""
    best = (np.inf, 0.0, 0.0, 0.0)
    for power in POWERS:
        basis = np.stack([np.ones_like(steps), steps**-power], axis=1)
        (floor, scale), *_ = np.linalg.lstsq(basis, losses, rcond=None)
        if floor < 0:  # a loss cannot be negative: fit the scale alone
            floor, scale = 0.0, float((basis[:, 1] @ losses) / (basis[:, 1] @ basis[:, 1]))
        error = float(((basis @ [floor, scale] - losses) ** 2).sum())
        best = min(best, (error, float(floor), float(scale), float(power)))
    return best[1:]


def main(log: Annotated[Path, typer.Argument(help="log.txt of tools.train.coarse")]) -> None:
    """Fit and print."""
    steps, losses = read_log(log)
    floor, scale, power = fit_power_law(steps, losses)
    fitted = floor + scale * steps**-power
    last, much_later = (floor + scale * step**-power for step in (steps[-1], 10 * steps[-1]))
    second_half = steps > steps[-1] / 2
    slope = np.polyfit(np.log2(steps[second_half]), losses[second_half], 1)[0]
    relative = 100 * slope / losses[second_half].mean()
    rms = np.sqrt(np.mean((fitted - losses) ** 2))
    print(f"loss = {floor:.4f} + {scale:.3f} * step^-{power:.2f}   (rms error {rms:.4f})")
    print(
        f"at step {steps[-1]:.0f}: {last:.4f}; at ten times as many: {much_later:.4f} "
        f"({100 * (much_later / last - 1):+.1f} %)"
    )
    print(f"slope over the last doubling: {slope:+.4f} per doubling ({relative:+.1f} %)")


if __name__ == "__main__":
    raise SystemExit(run(main))
