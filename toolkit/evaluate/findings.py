"""What the tables are asked: were the targets met, and where does the misalignment come from?

Targets compare `refined` (what the main job leaves) with `coarse` from the side and from behind.
"""

import numpy as np

from toolkit.evaluate.stats import interval, kid_change_percent, paired, ratio_interval
from toolkit.evaluate.summary import People, by_person, kid_features, main_views, pose_views
from toolkit.evaluate.variants import REFINED

CONTROLS = ("self_refit", "unsharp_refit", "esrgan_refit")
MOST_P = 0.01
OFFSETS = ("texture_offset_px", "texture_offset_percent", "photo_iou", "photo_psnr")
ON_TRUE_BODY = {"coarse": "coarse_true_body", REFINED: "refined_true_body"}


def targets(people: People, *, seed: int) -> dict[str, dict]:
    """Each target with its number, interval, goal and whether it is met; {} without both avatars.

    Keys: `psnr_gain_db`, `perceptual_change_percent`, `kid_change_percent`, `sharpness`, `iou`,
    `front_psnr_gain_db`, `psnr_gain_kept_percent`, `perceptual_gain_kept_percent`, and
    `psnr_over_<control>_db`, `perceptual_under_<control>_percent`.
    """
    table = _Columns(people, seed)
    if not (table("psnr", "coarse") and table("psnr", REFINED)):
        return {}
    rows = {
        "psnr_gain_db": (table.change("psnr", "coarse"), ">= 2.5"),
        "perceptual_change_percent": (table.percent("perceptual", "coarse"), "<= -33"),
        "kid_change_percent": (table.kid_percent(), "<= -35"),
        "sharpness": (table.mean("sharpness"), "0.8 to 1.2"),
        "iou": (table.mean("iou"), ">= 0.97"),
        "front_psnr_gain_db": (table.change("psnr", "coarse", "front"), ">= 0"),
        "psnr_gain_kept_percent": (table.kept("psnr", 1), ">= 80"),
        "perceptual_gain_kept_percent": (table.kept("perceptual", -1), ">= 80"),
    }
    for control in CONTROLS:
        rows[f"psnr_over_{control}_db"] = (table.change("psnr", control), "> 0")
        rows[f"perceptual_under_{control}_percent"] = (table.percent("perceptual", control), "< 0")
    return {
        name: value | {"goal": goal, "met": is_met(value["mean"], goal)}
        for name, (value, goal) in rows.items()
        if value is not None
    }


def is_met(value: float, goal: str) -> bool:
    """Whether a number keeps a goal such as ">= 2.5" or "0.8 to 1.2"."""
    if " to " in goal:
        low, high = map(float, goal.split(" to "))
        return low <= value <= high
    sign, limit = goal.split()
    limit = float(limit)
    return {">=": value >= limit, "<=": value <= limit, ">": value > limit, "<": value < limit}[
        sign
    ]


def is_success(found: dict[str, dict]) -> bool | None:
    """The floor: +0.6 dB and -15 % perceptual, p < 0.01, better than the refit controls.

    None when a number that it needs is missing.
    """
    controls = [
        f"{a}_{name}_{b}"
        for name in ("self_refit", "unsharp_refit")
        for a, b in (("psnr_over", "db"), ("perceptual_under", "percent"))
    ]
    gain, look = found.get("psnr_gain_db"), found.get("perceptual_change_percent")
    if not (gain and look and all(name in found for name in controls) and "p" in gain):
        return None
    clear = gain["mean"] >= 0.6 and look["mean"] <= -15 and max(gain["p"], look["p"]) < MOST_P
    return bool(clear and all(found[name]["met"] for name in controls))


class _Columns:
    """One measure of one variant in one sector at a time, person by person."""

    def __init__(self, people: People, seed: int):
        self.people, self.seed = people, seed

    def __call__(
        self, measure: str, variant: str, sector: str = "side_back", pick=main_views
    ) -> dict[str, float]:
        return by_person(self.people, variant, sector, pick).get(measure, {})

    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)

    def mean(self, measure: str) -> dict:
        return interval(list(self(measure, REFINED).values()), self.rng())

    def change(self, measure: str, base: str, sector: str = "side_back") -> dict | None:
        return paired(self(measure, base, sector), self(measure, REFINED, sector), self.rng())

    def percent(self, measure: str, base: str) -> dict | None:
        """Change of the mean in percent of the base's; p is that of the paired test."""
        first, second = self(measure, base), self(measure, REFINED)
        tested = paired(first, second, self.rng())
        if tested is None:
            return None
        names = sorted(first.keys() & second.keys())
        ours, own = (np.array([column[n] for n in names]) for column in (second, first))
        return ratio_interval(100 * (ours - own), own, self.rng()) | {"p": tested["p"]}

    def kept(self, measure: str, sign: int) -> dict | None:
        """Gain in novel poses as a share of the gain in the photo's; None if there is none."""
        gains = []
        for pick in (main_views, pose_views):
            first, second = (self(measure, v, pick=pick) for v in ("coarse", REFINED))
            gains.append({n: sign * (second[n] - first[n]) for n in first.keys() & second.keys()})
        names = sorted(gains[0].keys() & gains[1].keys())
        own, novel = (np.array([gain[n] for n in names]) for gain in gains)
        if len(names) < 2 or own.mean() <= 0:
            return None
        return ratio_interval(100 * novel, own, self.rng())

    def kid_percent(self) -> dict | None:
        (first, true), (second, _) = (
            kid_features(self.people, v, "side_back", main_views) for v in ("coarse", REFINED)
        )
        return kid_change_percent(first, second, true, self.rng())


def misalignment(people: People, *, seed: int) -> dict[str, dict]:
    """What the body fit and what the model adds to the misalignment, per measure.

    Returns:
        {variant: {measure: {estimated, true, from_body}}}, each an interval, `from_body` with p:
        the paired change from the estimated to the true body. Measures: those of the photo's own
        view (`OFFSETS`), and `psnr_<sector>`, `iou_<sector>`.
    """
    result = {}
    for variant, twin in ON_TRUE_BODY.items():
        columns = [_misalignment_columns(people, name) for name in (variant, twin)]
        found = {}
        for measure in columns[0].keys() & columns[1].keys():
            first, second = (column[measure] for column in columns)
            names = sorted(first.keys() & second.keys())
            if names:
                found[measure] = {
                    "estimated": interval([first[n] for n in names], np.random.default_rng(seed)),
                    "true": interval([second[n] for n in names], np.random.default_rng(seed)),
                    "from_body": paired(first, second, np.random.default_rng(seed)),
                }
        if found:
            result[variant] = dict(sorted(found.items()))
    return result


def _misalignment_columns(people: People, variant: str) -> dict[str, dict[str, float]]:
    columns = {}
    for sector in ("front", "three_quarter", "side", "back", "all"):
        values = by_person(people, variant, sector, main_views)
        columns |= {f"{m}_{sector}": values[m] for m in ("psnr", "iou") if m in values}
        columns |= {m: values[m] for m in OFFSETS if m in values}
    return columns
