"""Cost against the number of Gaussians and against the size of the picture."""

from pathlib import Path

import numpy as np

from benchmarks.standing_person import standing_person
from benchmarks.timing import job, measure
from toolkit.render.rasterizer import rasterization
from toolkit.show.style import INK, STAGE_COLORS, figure, quiet_axes, save_figure

COUNTS = (5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000)
SIZES = (128, 256, 512, 768, 1024)
LABELS = {
    "gaussians": "thousand Gaussians at 512 px",
    "pixels": "thousand covered pixels, 40k Gaussians",
}


def curves(repeats: int) -> dict[str, list]:
    """Milliseconds of forward + backward against Gaussians (at 512 px) and pixels (at 40k)."""
    table = {"gaussians": [], "pixels": []}
    for num in COUNTS:
        once = job(rasterization, standing_person(num), 512, "both")
        table["gaussians"].append((num, 1e3 * measure(once, repeats)["wall_s"]))
    person = standing_person(40_000)
    for size_px in SIZES:
        once = job(rasterization, person, size_px, "both")
        covered = int((once()[1] > 0.5).sum())
        table["pixels"].append((covered, 1e3 * measure(once, repeats)["wall_s"]))
    return table


def draw_curves(table: dict[str, list], path: Path) -> None:
    """Both curves beside a line fitted to them: a constant cost, and a price per piece."""
    fig = figure(1000, 400)
    for k, (name, label) in enumerate(LABELS.items()):
        x, y = np.array(table[name], float).T * [[1e-3], [1]]
        # Weights 1/y: the small cases count as much as the large ones, in percent.
        slope, start = np.polyfit(x, y, 1, w=1 / y)
        ax = fig.add_subplot(1, 2, k + 1)
        ax.plot(x, y, "o", color=STAGE_COLORS[1])
        ax.plot(x, start + slope * x, color=INK, lw=1)
        ax.set_xlabel(label, color=INK)
        ax.set_title(f"{start:.1f} ms + {slope:.2f} ms per thousand", color=INK, fontsize=11)
        ax.set_ylabel("ms, forward + backward")
        quiet_axes(ax)
    fig.tight_layout()
    save_figure(fig, path)
