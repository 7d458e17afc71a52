"""Two questions to the tables: were the targets met, and where does the misalignment come from?

Targets compare `refined` (what the main job makes) with `coarse`, in side and back views.
"""

import numpy as np

from toolkit.evaluate.kernel_distance import kid_change_percent
from toolkit.evaluate.stats import mean_interval, paired_change, ratio_interval
from toolkit.evaluate.summary import (
    People,
    PickViews,
    by_person,
    kid_features,
    main_views,
    pose_views,
)
from toolkit.evaluate.variants import REFINED

CONTROLS = ("self_refit", "unsharp_refit", "esrgan_refit")
MAX_P = 0.01  # of a change that counts as proven
OFFSETS = ("texture_offset_px", "texture_offset_percent", "photo_iou", "photo_psnr")
ON_TRUE_BODY = {"coarse": "coarse_true_body", REFINED: "refined_true_body"}


def targets(people: People, *, seed: int) -> dict[str, dict]:
    """Each target with its number, interval, goal and whether it is met; {} without both avatars.

    Keys: `psnr_gain_db`, `perceptual_change_percent`, `kid_change_percent`, `sharpness`, `iou`,
    `front_psnr_gain_db`, `psnr_gain_kept_percent`, `perceptual_gain_kept_percent`, and
    `psnr_over_<control>_db`, `perceptual_under_<control>_percent`.

    Args:
        people: everybody's records.
        seed: of the bootstrap.
    """
    table = _Comparison(people, seed)
    if not (table.values("psnr", "coarse") and table.values("psnr", REFINED)):
        return {}
    rows = {
        "psnr_gain_db": (table.change("psnr", "coarse"), ">= 1.2"),
        "perceptual_change_percent": (table.percent("perceptual", "coarse"), "<= -25"),
        "kid_change_percent": (table.kid_percent(), "<= -80"),
        "sharpness": (table.mean("sharpness"), "0.8 to 1.2"),
        "iou": (table.mean("iou"), ">= 0.97"),
        "front_psnr_gain_db": (table.change("psnr", "coarse", "front"), ">= 0"),
        "psnr_gain_kept_percent": (table.share_in_novel_poses("psnr", 1), ">= 95"),
        "perceptual_gain_kept_percent": (table.share_in_novel_poses("perceptual", -1), ">= 95"),
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
    """Whether a number meets a goal such as ">= 2.5" or "0.8 to 1.2"."""
    if " to " in goal:
        low, high = map(float, goal.split(" to "))
        return low <= value <= high
    sign, limit = goal.split()
    limit = float(limit)
    return {">=": value >= limit, "<=": value <= limit, ">": value > limit, "<": value < limit}[
        sign
    ]


def is_success(reached: dict[str, dict]) -> bool | None:
    """The floor: +0.6 dB and -15 % perceptual, p < 0.01, better than the refit controls.

    Args:
        reached: what `targets` returned.

    Returns:
        None if a number that it needs is missing.
    """
    controls = [
        f"{a}_{name}_{b}"
        for name in ("self_refit", "unsharp_refit")
        for a, b in (("psnr_over", "db"), ("perceptual_under", "percent"))
    ]
    psnr, perceptual = reached.get("psnr_gain_db"), reached.get("perceptual_change_percent")
    if not (psnr and perceptual and all(name in reached for name in controls) and "p" in psnr):
        return None
    proven = max(psnr["p"], perceptual["p"]) < MAX_P
    clear = psnr["mean"] >= 0.6 and perceptual["mean"] <= -15 and proven
    return bool(clear and all(reached[name]["met"] for name in controls))


class _Comparison:
    """Numbers that compare `refined` with another variant, in side and back views."""

    def __init__(self, people: People, seed: int):
        """Remember everybody's records, and the seed of the bootstrap."""
        self.people, self.seed = people, seed

    def values(
        self, measure: str, variant: str, sector: str = "side_back", pick: PickViews = main_views
    ) -> dict[str, float]:
        """Person -> value."""
        return by_person(self.people, variant, sector, pick).get(measure, {})

    def rng(self) -> np.random.Generator:
        """See `_rng`."""
        return _rng(self.seed)

    def mean(self, measure: str) -> dict:
        """Of `refined` alone."""
        return mean_interval(list(self.values(measure, REFINED).values()), self.rng())

    def change(self, measure: str, base: str, sector: str = "side_back") -> dict | None:
        """Mean difference `refined` less base."""
        first, second = self.values(measure, base, sector), self.values(measure, REFINED, sector)
        return paired_change(first, second, self.rng())

    def percent(self, measure: str, base: str) -> dict | None:
        """Change of the mean in percent of the base's; p is that of the paired test."""
        first, second = self.values(measure, base), self.values(measure, REFINED)
        test = paired_change(first, second, self.rng())
        if test is None:
            return None
        names = sorted(first.keys() & second.keys())
        before, after = (np.array([column[n] for n in names]) for column in (first, second))
        return ratio_interval(100 * (after - before), before, self.rng()) | {"p": test["p"]}

    def share_in_novel_poses(self, measure: str, sign: int) -> dict | None:
        """Gain in novel poses in percent of the gain in the photo's pose.

        Args:
            measure: whose gain.
            sign: 1 if higher is better, -1 if lower is.

        Returns:
            None if there is no gain in the photo's pose, or fewer than two people.
        """
        gains = []
        for pick in (main_views, pose_views):
            first, second = (self.values(measure, v, pick=pick) for v in ("coarse", REFINED))
            gains.append({n: sign * (second[n] - first[n]) for n in first.keys() & second.keys()})
        names = sorted(gains[0].keys() & gains[1].keys())
        in_photo_pose, in_novel_poses = (np.array([gain[n] for n in names]) for gain in gains)
        if len(names) < 2 or in_photo_pose.mean() <= 0:  # no gain of which there could be a share
            return None
        return ratio_interval(100 * in_novel_poses, in_photo_pose, self.rng())

    def kid_percent(self) -> dict | None:
        """Change of KID in percent, from coarse to `refined`."""
        (first, true), (second, _) = (
            kid_features(self.people, v, "side_back", main_views) for v in ("coarse", REFINED)
        )
        return kid_change_percent(first, second, true, self.rng())


def misalignment(people: People, *, seed: int) -> dict[str, dict]:
    """What the body fit and what the model adds to the misalignment, per measure.

    Args:
        people: everybody's records.
        seed: of the bootstrap.

    Returns:
        {variant: {measure: {estimated, true, from_body}}}, each an interval, `from_body` with p:
        the paired change from the estimated to the true body. Measures: those of the photo's own
        view (`OFFSETS`), and `psnr_<sector>`, `iou_<sector>`.
    """
    result = {}
    for variant, variant_on_true_body in ON_TRUE_BODY.items():
        estimated = _misalignment_columns(people, variant)
        true = _misalignment_columns(people, variant_on_true_body)
        measures = {}
        for measure in estimated.keys() & true.keys():
            first, second = estimated[measure], true[measure]
            if names := sorted(first.keys() & second.keys()):
                measures[measure] = {
                    "estimated": mean_interval([first[n] for n in names], _rng(seed)),
                    "true": mean_interval([second[n] for n in names], _rng(seed)),
                    "from_body": paired_change(first, second, _rng(seed)),
                }
        if measures:
            result[variant] = dict(sorted(measures.items()))
    return result


def _rng(seed: int) -> np.random.Generator:
    """A fresh generator for every number, so that the same people are drawn for all."""
    return np.random.default_rng(seed)


def _misalignment_columns(people: People, variant: str) -> dict[str, dict[str, float]]:
    """Measure -> person -> value."""
    columns = {}
    for sector in ("front", "three_quarter", "side", "back", "all"):
        values = by_person(people, variant, sector, main_views)
        columns |= {f"{m}_{sector}": values[m] for m in ("psnr", "iou") if m in values}
        columns |= {m: values[m] for m in OFFSETS if m in values}
    return columns
