"""How strong should SDEdit be? A sweep on validation people, from the photo alone.

    python -m experiments.strength                        # 6 people, 2 CPU minutes each
    python -m experiments.strength --people 1 --out runs/strength.json --figure runs/strength.png

Both priors, strengths on a linear grid, in one step and in six (the plain prior also with full
renoising between the steps), and the paper's 0.8 at shift 3 and 5. The operating point is picked by
a rule that was fixed beforehand (`toolkit.evaluate.sweep.RULE`). Every setting is listed in
docs/results/strength.md.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from experiments.clip_people import ClipSettings, load_priors, scorers
from experiments.document import ROOT, markdown_table, mean_of, number, publish
from toolkit.evaluate.sweep import (
    MOST_LOST_DB,
    RULE,
    choose_setting,
    score_settings,
    sweep_rows,
    sweep_settings,
)
from toolkit.evaluate.sweep_plot import sweep_figure
from toolkit.run.progress import Progress
from toolkit.show.style import save_figure
from tools.command import run_with

COLUMNS = {  # measure: head, digits
    "sigma": ("start sigma", 2),
    "psnr": ("PSNR, dB", 2),
    "perceptual": ("perceptual", 3),
    "kid": ("KID x1000", 1),
    "sharpness": ("sharpness", 2),
    "seen_psnr": ("PSNR where seen, dB", 2),
    "kept_psnr": ("PSNR to coarse where seen, dB", 2),
    "kept_perceptual": ("perceptual to coarse where seen", 3),
    "seconds": ("CPU s", 1),
}
FIGURE = ROOT / "docs" / "img" / "strength.png"
IN_PAGE = ("sigma", "psnr", "perceptual", "kid", "sharpness", "seen_psnr")


@dataclass(frozen=True)
class Settings(ClipSettings):
    """The options of this command."""

    points: Annotated[int, typer.Option(help="strengths of the grid")] = 10
    steps: Annotated[list[int], typer.Option(help="evaluations of the prior; repeat")] = (1, 6)
    figure: Annotated[
        Path | None, typer.Option(help="picture of the curves; else in docs/img, unless --out")
    ] = None


def main(settings: Settings) -> None:
    """Measure; write docs/results/strength.json, the tables and the figure."""
    publish(
        "strength",
        lambda: measure(settings),
        tables,
        table_only=settings.table_only,
        out=settings.out,
        report=report,
    )


def measure(settings: Settings) -> dict:
    """Score every setting on every person."""
    torch.set_num_threads(settings.threads)
    priors, steps = load_priors(settings), tuple(settings.steps)
    strengths = np.linspace(1 / settings.points, 1, settings.points)
    points = [s for prior in priors for s in sweep_settings(prior, strengths, steps=steps)]
    points += sweep_settings("plain", strengths, steps=steps[-1:], sampler="full", paper=False)
    scores = []
    for scorer in scorers(settings):
        with Progress("settings", len(points)) as tick:
            scores.append(score_settings(scorer, priors, points, tick=tick))
    rows = sweep_rows(scores, points)
    chosen = choose_setting(rows)
    figure = settings.figure or (None if settings.out else FIGURE)
    if figure:
        save_figure(sweep_figure(rows, chosen), figure)
    return {
        "people": len(scores),
        "split": settings.split,
        "rule": RULE,
        "most_lost_db": MOST_LOST_DB,
        "chosen": chosen,
        "best": {prior: choose_setting(of_prior(rows, prior)) for prior in priors},
        "order": list(rows),
        "rows": rows,
    }


def of_prior(rows: dict[str, dict], prior: str) -> dict[str, dict]:
    """The coarse clip and the settings of one prior."""
    return {n: r for n, r in rows.items() if n == "coarse" or r["setting"]["prior"] == prior}


def tables(numbers: dict) -> dict[str, str]:
    """The coarse clip, the nearest setting of each prior, the paper's points, and the choice."""
    rows = numbers["rows"]
    names = ["coarse"]
    for prior in ("repairer", "plain"):
        group = {n: r for n, r in of_prior(rows, prior).items() if n != "coarse"}
        best = min(group, key=lambda name: group[name]["perceptual"]["mean"])
        paper = [n for n in numbers["order"] if n in group and group[n]["setting"]["paper"]]
        names += list(dict.fromkeys([best, *paper]))
    nearest = names[1]  # of the repairer
    lost = rows["coarse"]["seen_psnr"]["mean"] - rows[nearest]["seen_psnr"]["mean"]
    caption = (
        f"{numbers['people']} {numbers['split']} people, photo alone, side and back; of each prior "
        "the setting with the lowest perceptual distance, and the paper's strength 0.8:\n\n"
    )
    verdict = (
        f"\nRule: {numbers['rule']}. It picks **{numbers['chosen']}**. The setting with the lowest "
        f"perceptual distance ({nearest}) loses {lost:.2f} dB where the photo saw; "
        f"{numbers['most_lost_db']:g} dB are allowed.\n"
    )
    return {"": caption + table(numbers, names, IN_PAGE) + verdict}


def report(numbers: dict) -> str:
    """Every setting with every measure."""
    head = (
        f"# Strength of SDEdit\n\n{numbers['people']} {numbers['split']} people, side and back "
        f"unless said otherwise (`python -m experiments.strength`). Rule: {numbers['rule']}. "
        f"Chosen: **{numbers['chosen']}**.\n\n"
    )
    return head + table(numbers, numbers["order"], tuple(COLUMNS))


def table(numbers: dict, names: list[str], measures: tuple[str, ...]) -> str:
    """Means of the named rows."""
    lines = []
    for name in names:
        row = numbers["rows"][name]
        values = {m: mean_of(row, m) for m in measures}
        if "setting" in row:
            values["sigma"] = row["setting"]["start_sigma"]
        lines.append([name, *(number(values.get(m), COLUMNS[m][1]) for m in measures)])
    return markdown_table(["", *(COLUMNS[m][0] for m in measures)], lines)


if __name__ == "__main__":
    raise SystemExit(run_with(Settings, main))
