"""The figure of a sweep: faithfulness against realism, and both over the start sigma."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toolkit.evaluate.sweep import PAPER
from toolkit.prior.sdedit import start_sigma
from toolkit.show import style

PANELS = (  # measure across (None: the start sigma), measure up, label across, title
    (
        "kept_psnr",
        "perceptual",
        "PSNR to the coarse clip where the photo saw, dB",
        "perceptual distance, side + back",
    ),
    (None, "perceptual", "start sigma", "perceptual distance, side + back"),
    (None, "sharpness", "start sigma", "sharpness, 1 = truth"),
)


def sweep_figure(rows: dict[str, dict], chosen: str) -> Figure:
    """Three panels: faithfulness against realism, and realism and sharpness over start sigma.

    Args:
        rows: what `sweep_rows` returned.
        chosen: name of the row that gets a ring.
    """
    fig = style.figure(1500, 500)
    axes = fig.subplots(1, 3)
    for ax, (across, up, xlabel, title) in zip(axes, PANELS, strict=True):
        _draw_settings(ax, rows, chosen, across, up)
        _draw_coarse(ax, rows["coarse"][up]["mean"], legend=across is not None)
        ax.set_xlabel(xlabel, color=style.INK)
        ax.set_title(title, color=style.INK, fontsize=11.5)
        style.quiet_axes(ax)
    axes[2].axhline(1, color=style.STAGE_COLORS[2], lw=1, ls=(0, (4, 3)))
    axes[0].legend(frameon=False, fontsize=9)
    fig.tight_layout()
    return fig


def _color(prior: str) -> str:
    return style.STAGE_COLORS[1] if prior == "repairer" else style.PHOTO_COLOR


def _draw_settings(
    ax: Axes, rows: dict[str, dict], chosen: str, across: str | None, up: str
) -> None:
    """A line for each prior and number of steps; the paper's points as diamonds."""
    lines: dict[tuple[str, int, str], list] = {}
    for name, row in rows.items():
        if (setting := row.get("setting")) is None:
            continue
        x = row[across]["mean"] if across else setting["start_sigma"]
        y = row[up]["mean"]
        max_steps = setting["max_steps"] or setting["steps"]
        if setting["paper"]:
            color = _color(setting["prior"])
            ax.plot(x, y, "D", color=color, mec=style.INK, ms=7, zorder=4)
        else:
            key = (setting["prior"], max_steps, setting["sampler"])
            lines.setdefault(key, []).append((x, y, setting["strength"]))
        if name == chosen:
            ax.plot(x, y, "o", mfc="none", mec=style.INK, ms=15, mew=1.8, zorder=5)
    for (prior, max_steps, sampler), points in lines.items():
        points.sort(key=lambda point: point[2])
        _draw_line(ax, points, prior, max_steps, sampler)
        for x, y, strength in points[::3] if across and max_steps > 1 else []:
            ax.annotate(
                f"{strength:g}",
                (x, y),
                xytext=(4, 4),
                fontsize=8.5,
                textcoords="offset points",
                color=_color(prior),
            )


def _draw_line(ax: Axes, points: list[tuple], prior: str, max_steps: int, sampler: str) -> None:
    """One prior in one number of steps over strength; dashes tell steps and samplers apart."""
    label = f"{prior}, {'one step' if max_steps == 1 else f'up to {max_steps} steps'}"
    label += "" if sampler == "ode" else f", {sampler} renoising"
    dashes = (0, (3, 2)) if max_steps == 1 else "-" if sampler == "ode" else "-."
    x, y, _ = zip(*points, strict=True)
    ax.plot(x, y, color=_color(prior), lw=1.6, ms=4, marker="o", ls=dashes, label=label)


def _draw_coarse(ax: Axes, value: float, *, legend: bool) -> None:
    """A line at the coarse clip's value; then words for the marks, or the paper's start sigmas."""
    label = "coarse" if legend else None
    ax.axhline(value, color=style.STAGE_COLORS[0], lw=1.2, label=label)
    if legend:
        ax.plot([], [], "D", color="white", mec=style.INK, label="the paper's 0.8, shift 3 and 5")
        ax.plot([], [], "o", mfc="none", mec=style.INK, ms=11, label="chosen")
    else:
        low, high = (start_sigma(*point) for point in PAPER)
        ax.axvspan(low, high, color=style.FAINT, alpha=0.25, lw=0)
