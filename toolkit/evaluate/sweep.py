"""How strong should SDEdit be? A sweep of strength, the rule that picks a setting, the figure."""

from dataclasses import asdict, dataclass
from functools import partial

from matplotlib.figure import Figure

from toolkit.errors import fail
from toolkit.evaluate.clip_scores import ClipScorer, measure, summarise
from toolkit.prior.sdedit import SDEditConfig, Velocity, start_sigma
from toolkit.show import style

PAPER = ((0.8, 50, 3.0), (0.8, 50, 5.0))  # its strength and steps; its shift is not told: 3 or 5
MOST_LOST_DB = 0.5  # of PSNR where the photo saw
RULE = (
    "lowest perceptual distance to the truth on side and back, among settings that lose at "
    f"most {MOST_LOST_DB} dB of PSNR where the photo saw, against the coarse clip"
)


@dataclass(frozen=True)
class Setting:
    """One point of the sweep.

    Attributes:
        prior: "repairer" or "plain".
        edit: how far and how.
    """

    prior: str
    edit: SDEditConfig

    @property
    def sigma(self) -> float:
        """Start level; what strength means depends on the shift."""
        return start_sigma(self.edit.strength, self.edit.num_inference_steps, self.edit.shift)

    @property
    def steps(self) -> int:
        """Evaluations of the prior."""
        full = int(self.edit.num_inference_steps * self.edit.strength)
        return min(full, self.edit.max_steps or full)

    @property
    def name(self) -> str:
        how = "" if self.edit.sampler == "ode" else f", {self.edit.sampler}"
        return (
            f"{self.prior}, strength {self.edit.strength:g}, shift {self.edit.shift:g}, "
            f"{self.steps} step{'s' * (self.steps > 1)}{how}"
        )

    def describe(self) -> dict:
        """The setting with its start sigma, for a report."""
        return {
            "prior": self.prior,
            **asdict(self.edit),
            "start_sigma": round(self.sigma, 4),
            "steps": self.steps,
            "paper": (self.edit.strength, self.edit.num_inference_steps, self.edit.shift) in PAPER,
        }


def grid(
    prior: str,
    strengths,
    *,
    steps=(1, 6),
    length: int = 20,
    shift: float = 1.0,
    sampler: str = "ode",
    paper: bool = True,
) -> list[Setting]:
    """Strengths on a linear grid, each in few and in more steps, and the paper's two points."""
    found = [
        Setting(prior, SDEditConfig(round(float(s), 4), length, shift, sampler, max_steps=n))
        for n in steps
        for s in strengths
    ]
    more = [Setting(prior, SDEditConfig(*point, max_steps=max(steps))) for point in PAPER]
    return found + more * paper


def score_settings(
    exam: ClipScorer, priors: dict[str, Velocity], settings: list[Setting], *, tick=lambda: None
) -> dict[str, dict]:
    """Scores of one person's coarse clip and of every setting, by name.

    Args:
        exam: the person.
        priors: velocity of each prior named by a setting.
        settings: points of the sweep.
        tick: called after each clip.
    """
    scores = {"coarse": exam.score_clip(exam.bench.turntable.rgb)}
    for s in settings:
        clip, seconds = measure(
            partial(exam.edit, priors[s.prior], s.edit, repair=s.prior == "repairer")
        )
        scores[s.name] = exam.score_clip(clip) | {"seconds": seconds}
        tick()
    return scores


def sweep_rows(people: list[dict[str, dict]], settings: list[Setting]) -> dict[str, dict]:
    """`summarise`'s rows of what `score_settings` gave for each person, "coarse" first.

    The setting itself is in each row under `setting`.
    """
    rows = summarise(
        {name: [scores[name] for scores in people] for name in people[0]}, baseline="coarse"
    )
    for setting in settings:
        rows[setting.name]["setting"] = setting.describe()
    return rows


def choose(rows: dict[str, dict], *, most_lost_db: float = MOST_LOST_DB) -> str:
    """The name of the row that `RULE` picks; "coarse" if no setting is admissible and better."""
    if "coarse" not in rows:
        fail("sweep", got=sorted(rows), wanted='a row "coarse"', fix="Use `sweep_rows`.")
    floor = rows["coarse"]["seen_psnr"]["mean"] - most_lost_db
    allowed = [n for n, row in rows.items() if n == "coarse" or row["seen_psnr"]["mean"] >= floor]
    return min(allowed, key=lambda name: rows[name]["perceptual"]["mean"])


def sweep_figure(rows: dict[str, dict], chosen: str) -> Figure:
    """Three panels: faithfulness against realism, and realism and sharpness over start sigma."""
    fig = style.figure(1500, 500)
    axes = fig.subplots(1, 3)
    panels = [
        (
            "kept_psnr",
            "perceptual",
            "PSNR to the coarse clip where the photo saw, dB",
            "perceptual distance, side + back",
        ),
        (None, "perceptual", "start sigma", "perceptual distance, side + back"),
        (None, "sharpness", "start sigma", "sharpness, 1 = truth"),
    ]
    for ax, (across, up, xlabel, ylabel) in zip(axes, panels, strict=True):
        _curves(ax, rows, chosen, across, up)
        ax.set_xlabel(xlabel, color=style.INK)
        ax.set_title(ylabel, color=style.INK, fontsize=11.5)
        style.quiet_axes(ax)
    axes[2].axhline(1, color=style.STAGE_COLORS[2], lw=1, ls=(0, (4, 3)))
    axes[0].legend(frameon=False, fontsize=9)
    fig.tight_layout()
    return fig


def _curves(ax, rows: dict[str, dict], chosen: str, across: str | None, up: str) -> None:
    """A line for each prior and number of steps; the paper's points as diamonds."""
    lines: dict[tuple[str, int, str], list] = {}
    for name, row in rows.items():
        if (setting := row.get("setting")) is None:
            continue
        x = row[across]["mean"] if across else setting["start_sigma"]
        point = (x, row[up]["mean"], setting)
        most = setting["max_steps"] or setting["steps"]
        color = style.STAGE_COLORS[1] if setting["prior"] == "repairer" else style.PHOTO_COLOR
        if setting["paper"]:
            ax.plot(*point[:2], "D", color=color, mec=style.INK, ms=7, zorder=4)
        else:
            lines.setdefault((setting["prior"], most, setting["sampler"]), []).append(point)
        if name == chosen:
            ax.plot(*point[:2], "o", mfc="none", mec=style.INK, ms=15, mew=1.8, zorder=5)
    for (prior, most, sampler), points in lines.items():
        points.sort(key=lambda point: point[2]["strength"])
        color = style.STAGE_COLORS[1] if prior == "repairer" else style.PHOTO_COLOR
        label = f"{prior}, {'one step' if most == 1 else f'up to {most} steps'}"
        label += "" if sampler == "ode" else f", {sampler} renoising"
        dashes = (0, (3, 2)) if most == 1 else "-" if sampler == "ode" else "-."
        ax.plot(
            [p[0] for p in points],
            [p[1] for p in points],
            color=color,
            lw=1.6,
            ms=4,
            marker="o",
            ls=dashes,
            label=label,
        )
        for x, y, setting in points[::3] if across and most > 1 else []:
            ax.annotate(
                f"{setting['strength']:g}",
                (x, y),
                xytext=(4, 4),
                fontsize=8.5,
                textcoords="offset points",
                color=color,
            )
    if across is None:
        ax.axhline(rows["coarse"][up]["mean"], color=style.STAGE_COLORS[0], lw=1.2)
        low, high = (start_sigma(*point) for point in PAPER)
        ax.axvspan(low, high, color=style.FAINT, alpha=0.25, lw=0)
    else:
        ax.axhline(rows["coarse"][up]["mean"], color=style.STAGE_COLORS[0], lw=1.2, label="coarse")
        ax.plot([], [], "D", color="white", mec=style.INK, label="the paper's 0.8, shift 3 and 5")
        ax.plot([], [], "o", mfc="none", mec=style.INK, ms=11, label="chosen")
