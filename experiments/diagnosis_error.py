"""What is wrong with the coarse avatar where a refiner could help? Part of the diagnosis.

Side and back views of the turntable, on the true body, against the truth. The squared error is
split by part of the body, by what the photo saw of it, and by cause (`diagnosis_split`).
"""

from pathlib import Path

import numpy as np

from experiments.diagnosis_people import each_person, open_person, weights_key
from experiments.diagnosis_split import (
    CAUSES,
    DIFFERS,
    PATCH_PX,
    REGIONS,
    Sight,
    draw_labels,
    region_labels,
    sight_labels,
    split_squares,
)
from experiments.document import markdown_table, number
from toolkit.coarse.from_photo import load_coarse
from toolkit.evaluate.stats import in_sector, mean_interval, ratio_interval
from toolkit.refine.turntable import pose_for_turntable
from toolkit.run.folder import digest

SIGHTS = {  # in the order of `Sight`
    "seen": "seen by the photo",
    "hidden": "hidden, inside the photo's frame",
    "outside": "outside the photo's frame",
}
CLOTHES = {
    "print": "people with something on their back",
    "pattern": "other people with a pattern",
    "plain": "people in plain clothes",
}
AXES = ("region", "sight", "cause")


def clothes_of(attributes: dict) -> str:
    """Which of `CLOTHES` a person belongs to."""
    if attributes["back"] != "none":
        return "print"
    patterns = attributes["top_pattern"], attributes["bottom_pattern"]
    return "plain" if patterns == ("plain", "plain") else "pattern"


def measure_person(seed: int, folder: Path) -> dict:
    """Mean squares by region, sight and cause; the share of the pixels by region and sight."""
    bench = open_person(seed, folder).on_true_body()
    scene, coarse = bench.turntable_scene, bench.coarse
    posed = pose_for_turntable(coarse)
    num = len(Sight)
    regions = draw_labels(posed, region_labels(coarse.rig), len(REGIONS), scene.cameras)
    sights = draw_labels(posed, sight_labels(coarse, bench.body, bench.visible), num, scene.cameras)
    labels = num * regions + sights
    # pixels of front and three-quarter views get one label more, which is dropped below
    labels[~in_sector(scene.views.azimuths_deg, "side_back")] = num * len(REGIONS)
    sums, pixels = split_squares(scene.draw(coarse), scene.views, labels, num * len(REGIONS) + 1)
    sums, pixels = sums[:-1], pixels[:-1]
    shape = (len(REGIONS), num)
    return {
        "squares": (sums / pixels.sum()).reshape(*shape, len(CAUSES)).tolist(),
        "pixels": (pixels / pixels.sum()).reshape(shape).tolist(),
        "clothes": clothes_of(bench.case.person.attributes),
    }


def measure(people: int) -> dict:
    """Everybody; see `summarise`."""
    key = digest(weights_key(load_coarse()), repr((CAUSES, PATCH_PX, DIFFERS, REGIONS)))
    return summarise(each_person("error", people, key, measure_person))


def summarise(persons: list[dict]) -> dict:
    """Means of the squares, and shares with intervals along each axis.

    Every person counts alike, whatever its size: a share is the mean over people of a part's mean
    squares, divided by the mean over people of the whole.
    """
    squares = np.array([p["squares"] for p in persons])  # (P, region, sight, cause)
    pixels = np.array([p["pixels"] for p in persons])
    groups = {name: [p["clothes"] == name for p in persons] for name in CLOTHES}
    return {
        "people": len(persons),
        "db": mean_interval(-10 * np.log10(squares.sum((1, 2, 3))), np.random.default_rng(0)),
        "squares": squares.mean(0).tolist(),
        "pixels": pixels.mean(0).tolist(),
        "shares": {axis: shares(squares, 1 + number) for number, axis in enumerate(AXES)},
        "clothes": {
            name: {"people": int(np.sum(chosen)), "squares": squares[chosen].mean(0).tolist()}
            for name, chosen in groups.items()
            if any(chosen)
        },
    }


def shares(squares: np.ndarray, axis: int) -> list[dict[str, float]]:
    """Of each part along an axis, with intervals over people."""
    parts = squares.sum(tuple({1, 2, 3} - {axis}))  # (P, parts)
    whole = parts.sum(1)
    return [ratio_interval(part, whole, np.random.default_rng(0)) for part in parts.T]


def table(numbers: dict) -> str:
    """By region, sight and cause; region against sight; and the causes by clothing."""
    squares, pixels = np.array(numbers["squares"]), np.array(numbers["pixels"])
    caption = (
        f"{numbers['people']} validation people, true body, side and back, inside the union of the "
        f"silhouettes, where coarse has {number(numbers['db']['mean'], 2)} dB. Shares in %, all of "
        "the squared error being 100:"
    )
    return "\n".join(
        [
            f"{caption}\n",
            by_cause(squares, pixels, numbers["shares"]),
            by_sight(squares),
            by_clothes(numbers["clothes"]),
        ]
    )


def by_cause(squares: np.ndarray, pixels: np.ndarray, intervals: dict) -> str:
    """One row per region and per sight."""
    heads = ["", "pixels", "squared error", *CAUSES]
    scale = 100 / squares.sum()
    rows = [
        [
            words,
            number(100 * area, 0),
            with_ends(whole),
            *(number(scale * part, 1) for part in parts),
        ]
        for names, axis in ((REGIONS, 0), (SIGHTS.values(), 1))
        for words, area, whole, parts in zip(
            names, pixels.sum(1 - axis), intervals[AXES[axis]], squares.sum(1 - axis), strict=True
        )
    ]
    causes = [with_ends(share) for share in intervals["cause"]]
    return markdown_table(heads, [*rows, ["all", "100", "100", *causes]])


def by_sight(squares: np.ndarray) -> str:
    """Regions against what the photo saw of them."""
    parts = 100 * squares.sum(2) / squares.sum()
    rows = [[name, *(number(x, 1) for x in row)] for name, row in zip(REGIONS, parts, strict=True)]
    return markdown_table(["", *SIGHTS.values()], rows)


def by_clothes(groups: dict) -> str:
    """The causes' shares in each group's own error, and how large that error is."""
    rows = []
    for name in (name for name in CLOTHES if name in groups):  # JSON sorts its keys
        group = groups[name]
        squares = np.array(group["squares"])
        parts = 100 * squares.sum((0, 1)) / squares.sum()
        rows.append(
            [
                CLOTHES[name],
                str(group["people"]),
                number(1000 * squares.sum(), 1),
                *(number(x, 1) for x in parts),
            ]
        )
    return markdown_table(
        ["of each group's own error", "people", "mean square x 1000", *CAUSES], rows
    )


def with_ends(share: dict[str, float]) -> str:
    """A share in percent with its interval."""
    low, high = (number(100 * share[end], 0) for end in ("low", "high"))
    return f"{number(100 * share['mean'], 1)} [{low}, {high}]"
