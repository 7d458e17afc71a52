"""The one plotting style: colours, empty figures, quiet axes, and figures on disk.

Figures are built without pyplot, so nothing global changes and nothing pops up in a notebook.
"""

import os

import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from toolkit.run.files import atomic_path

PAPER, INK, FAINT = "#faf9f6", "#23262b", "#8b9099"
STAGE_COLORS = ("#5f7c99", "#d8612c", "#4c8c5a")  # coarse, refined, truth
PHOTO_COLOR, RENDER_COLOR = "#12a5a0", "#e0338a"  # contours: two hues no person wears together
DPI = 100


def figure(width_px: int, height_px: int) -> Figure:
    """An empty figure of this size on the project's paper colour."""
    fig = Figure(figsize=(width_px / DPI, height_px / DPI), dpi=DPI, facecolor=PAPER)
    FigureCanvasAgg(fig)  # attaches itself to the figure; without it, nothing could be drawn
    return fig


def save_figure(fig: Figure, path: str | os.PathLike) -> None:
    """Write a PNG; the same figure gives the same bytes."""
    with atomic_path(path) as tmp:
        # matplotlib would stamp its version into the file: "Software" without a value forbids it
        fig.savefig(tmp, dpi=DPI, facecolor=fig.get_facecolor(), metadata={"Software": None})


def figure_pixels(fig: Figure) -> UInt8[np.ndarray, "H W 3"]:
    """The drawn figure as pixels, e.g. to put it into a video."""
    fig.canvas.draw()
    return np.asarray(fig.canvas.buffer_rgba())[..., :3].copy()


def quiet_axes(ax: Axes) -> None:
    """Keep only the axes that carry numbers, with light grid lines behind the data."""
    ax.set_facecolor(PAPER)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.spines["bottom"].set_color(FAINT)
    ax.grid(axis="y", color="#dfddd7", lw=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(colors=INK, labelsize=9.5, length=0)
