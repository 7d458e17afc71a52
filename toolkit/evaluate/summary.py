"""From everybody's records to the tables: intervals by sector, KID, paired tests against coarse."""

from collections.abc import Callable, Sequence

import numpy as np

from toolkit.evaluate.kernel_distance import kid
from toolkit.evaluate.stats import SECTORS, in_sector, mean_interval, paired_change, person_values
from toolkit.evaluate.variants import BASE, FRAMES, REFINED

People = dict[str, dict[str, dict]]  # person -> variant (and "truth") -> record
PickViews = Callable[[dict], dict | None]  # record -> the views that are meant


def join_views(parts: list[dict]) -> dict:
    """The views of several scenes as if they were those of one."""
    return {name: sum((part[name] for part in parts), []) for name in parts[0]}


def main_views(record: dict) -> dict | None:
    """The views of a record in the photo's pose (or the turntable's, for frames)."""
    return record.get("views")


def pose_views(record: dict) -> dict | None:
    """The views of a record in all novel poses."""
    return join_views(record["poses"]) if record.get("poses") else None


def true_features(truth: dict, variant: str, *, posed: bool) -> list:
    """The truth's features for the views of a variant.

    Args:
        truth: the record "truth" of a person.
        variant: frames are in the turntable's pose, avatars in the photo's.
        posed: those of the novel poses instead.
    """
    features = truth["features"]
    if posed:
        return sum(features["poses"], [])
    return features["turntable" if variant in FRAMES else "photo"]


def by_person(
    people: People, variant: str, sector: str, pick: PickViews
) -> dict[str, dict[str, float]]:
    """Measure -> person -> value.

    Args:
        people: everybody's records.
        variant: key of `VARIANTS`.
        sector: one of `SECTORS`.
        pick: `main_views` or `pose_views`.
    """
    table: dict[str, dict[str, float]] = {}
    for name, records in people.items():
        views = pick(records[variant]) if variant in records else None
        values = {} if views is None else person_values(views, sector)
        if sector == "all" and pick is main_views and views is not None:
            values |= records[variant].get("person", {})
        for measure, value in values.items():
            table.setdefault(measure, {})[name] = value
    return table


def kid_features(people: People, variant: str, sector: str, pick: PickViews) -> tuple[list, list]:
    """Features of a variant's views in a sector and of the true ones, one array per person."""
    avatars, true = [], []
    for records in people.values():
        views = pick(records[variant]) if variant in records else None
        if views is None or "truth" not in records:
            continue
        chosen = in_sector(views["azimuths_deg"], sector)
        if chosen.any():
            truth = true_features(records["truth"], variant, posed=pick is pose_views)
            avatars.append(np.array(views["features"])[chosen])
            true.append(np.array(truth)[chosen])
    return avatars, true


def evaluation(people: People, variants: Sequence[str], pick: PickViews, *, seed: int) -> dict:
    """The table of means with their intervals.

    Args:
        people: everybody's records.
        variants: rows of the table.
        pick: `main_views` or `pose_views`.
        seed: of the bootstrap.

    Returns:
        {variant: {sector: {measure: {mean, low, high}}}}; what has no view is left out.
    """
    table = {}
    for variant in variants:
        rows = {}
        for sector in SECTORS:
            generator = np.random.default_rng(seed)  # the same people are drawn for every number
            values = {
                measure: mean_interval(list(column.values()), generator)
                for measure, column in sorted(by_person(people, variant, sector, pick).items())
            }
            distance = kid(*kid_features(people, variant, sector, pick), generator)
            if distance is not None:
                values["kid"] = distance
            if values:
                rows[sector] = values
        if rows:
            table[variant] = rows
    return table


def tests(people: People, variants: Sequence[str], pick: PickViews, *, seed: int) -> dict:
    """Every variant less its base (`variants.BASE`, else coarse), person by person, with p.

    Args:
        people: everybody's records.
        variants: those that are tested.
        pick: `main_views` or `pose_views`.
        seed: of the bootstrap and the test.
    """
    table = {}
    for variant in variants:
        base = BASE.get(variant, "coarse")
        if variant in ("coarse", "coarse_frames"):
            continue
        rows = {}
        for sector in SECTORS:
            first, second = (by_person(people, name, sector, pick) for name in (base, variant))
            changes = {
                m: paired_change(first[m], second[m], np.random.default_rng(seed))
                for m in sorted(first.keys() & second.keys())
            }
            rows[sector] = {m: value for m, value in changes.items() if value is not None}
        if any(rows.values()):
            table[variant] = rows
    return table


def with_refined(table: dict) -> dict:
    """The table with one more key: `refined`, the variant that the main job makes."""
    return table | ({"refined": table[REFINED]} if REFINED in table else {})


def face_scale(people: People) -> float | None:
    """Mean face distance of *different* true people, with which `face_distance` is compared."""
    faces = [
        np.array(r["truth"]["face"]) for r in people.values() if r.get("truth", {}).get("face")
    ]
    if len(faces) < 2:
        return None
    # the product of unit vectors is the cosine; the diagonal, a face with itself, is left out
    unit = np.stack([f / np.linalg.norm(f) for f in faces])
    return float(1 - (unit @ unit.T)[~np.eye(len(unit), dtype=bool)].mean())


def mean_seconds(people: People, names: Sequence[str], clock: str = "seconds") -> dict[str, float]:
    """Mean seconds per person of every record.

    Args:
        people: everybody's records.
        names: variants, and "truth".
        clock: "seconds" on the wall, or "cpu_seconds".
    """
    return {
        name: round(float(np.mean(seconds)), 2)
        for name in names
        if (seconds := [r[name][clock] for r in people.values() if name in r])
    }
