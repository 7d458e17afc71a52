"""How much is left to learn? A power law through the training log of the coarse model.

    python -m experiments.learning_curve runs/coarse/log.txt

Fits loss = floor + scale * step^-power to the mean loss of each logged interval (least squares; the
power on a grid, the others in closed form) and says what ten times the steps would bring. The
cosine schedule lowers the loss towards its end, so the extrapolation is rather too good than too
bad. All people of a training are there from its first step: it says nothing of more people.
"""

import argparse
import re
from pathlib import Path

import numpy as np
from jaxtyping import Float

POWERS = np.linspace(0.02, 2.0, 199)
LINE = re.compile(r"step (\d+) .*image loss ([\d.]+)")


def read_log(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Steps and image losses of each interval of `train_coarse`."""
    found = [LINE.search(line) for line in Path(path).read_text().splitlines()]
    rows = np.array([[float(m[1]), float(m[2])] for m in found if m])
    return rows[:, 0], rows[:, 1]


def fit_power_law(
    steps: Float[np.ndarray, " N"], losses: Float[np.ndarray, " N"]
) -> tuple[float, float, float]:
    """Floor (>= 0), scale and power of the best curve."""
    best = (np.inf, 0.0, 0.0, 0.0)
    for power in POWERS:
        basis = np.stack([np.ones_like(steps), steps**-power], axis=1)
        (floor, scale), *_ = np.linalg.lstsq(basis, losses, rcond=None)
        if floor < 0:
            floor, scale = 0.0, float((basis[:, 1] @ losses) / (basis[:, 1] @ basis[:, 1]))
        error = float(((basis @ [floor, scale] - losses) ** 2).sum())
        best = min(best, (error, float(floor), float(scale), float(power)))
    return best[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log", type=Path)
    steps, losses = read_log(parser.parse_args().log)
    floor, scale, power = fit_power_law(steps, losses)

    def loss(step):
        return floor + scale * step**-power

    last = steps[-1]
    print(
        f"loss = {floor:.4f} + {scale:.3f} * step^-{power:.2f}   (rms off by "
        f"{np.sqrt(np.mean((loss(steps) - losses) ** 2)):.4f})"
    )
    print(
        f"at step {last:.0f}: {loss(last):.4f}; at ten times as many: {loss(10 * last):.4f} "
        f"({100 * (loss(10 * last) / loss(last) - 1):+.1f} %)"
    )
    half = steps > last / 2
    slope = np.polyfit(np.log2(steps[half]), losses[half], 1)[0]
    print(
        f"slope over the last doubling: {slope:+.4f} a doubling "
        f"({100 * slope / losses[half].mean():+.1f} %)"
    )


if __name__ == "__main__":
    main()
