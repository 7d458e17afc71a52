"""The people from whom the shape space is made: attributes, blending, local variation."""

import itertools
import re

import numpy as np
from jaxtyping import Float, Int

LOCAL_FOLDERS = {  # standard deviation of the sampled slider; a slider ends at +-1
    "head": 0.18,
    "forehead": 0.22,
    "eyebrows": 0.35,
    "eyes": 0.3,
    "nose": 0.35,
    "mouth": 0.3,
    "ears": 0.25,
    "chin": 0.3,
    "cheek": 0.35,
    "neck": 0.15,
    "torso": 0.2,
    "hip": 0.2,
    "stomach": 0.25,
    "buttocks": 0.25,
    "arms": 0.15,
    "legs": 0.12,
    "hands": 0.12,
    "feet": 0.12,
}
HEIGHT_SPAN = 0.45  # MakeHuman's height slider runs from 1.2 m to 2.2 m; ours spans its middle
LEFT_OUT = re.compile(
    r"pregnant|valgus|asym|pointed|angle-(in|out)$|(head|neck|torso|hip|foot|hand)-trans|"
    r"shape-triangle|ear-rot|bulge"
)
PAIRS = {
    "decr": "incr",
    "down": "up",
    "in": "out",
    "backward": "forward",
    "concave": "convex",
    "compress": "uncompress",
}
Column = Float[np.ndarray, " P"]  # one number per person
Slider = tuple[float, list[str], list[str]]  # sigma, targets for +, targets for -


def sample_people(num: int, seed: int) -> dict[str, Column]:
    """Attributes of `num` people, most of them adults; see `macro_coefficients` for the scales."""
    rng = np.random.default_rng(seed)
    adult = 0.5 + 0.5 * rng.beta(1.0, 1.6, num)
    young = rng.uniform(0.3, 0.5, num)
    race = rng.dirichlet([0.5, 0.5, 0.5], num)
    gender = np.where(rng.random(num) < 0.5, 0.0, 1.0)
    lean, strong = rng.normal(size=(2, num))
    sigmas = {"height": 0.16, "cup": 0.2, "firmness": 0.2}
    middle = {a: np.clip(rng.normal(0.5, s, num), 0, 1) for a, s in sigmas.items()}
    # MakeHuman's weight slider does little at average muscle: spread both, against each other
    middle["weight"] = np.clip(0.5 - 0.3 * lean, 0, 1)
    middle["muscle"] = np.clip(0.5 + 0.28 * (0.5 * lean + 0.87 * strong), 0, 1)
    return middle | {
        "gender": np.abs(gender - np.abs(rng.normal(0, 0.12, num)).clip(0, 0.5)),
        "age": np.where(rng.random(num) < 0.03, young, adult),
        "proportions": np.clip(rng.normal(0.6, 0.18, num), 0, 1),
        "african": race[:, 0],
        "asian": race[:, 1],
        "caucasian": race[:, 2],
    }


def local_pairs(names: set[str]) -> list[Slider]:
    """Sliders as (sigma, targets for +, targets for -); left and right move together."""
    sliders = {}
    for name in sorted(names):
        folder, _, stem = name.partition("/")
        if folder not in LOCAL_FOLDERS or LEFT_OUT.search(stem):
            continue
        base = re.sub(r"^[lr]-", "", stem)
        root, _, end = base.rpartition("-")
        low = next((a for a, b in PAIRS.items() if end in (a, b)), None)
        key = (folder, root, low) if low else (folder, base, None)
        slider = sliders.setdefault(key, (LOCAL_FOLDERS[folder] * (1 if low else 0.6), [], []))
        slider[1 if low is None or end == PAIRS[low] else 2].append(name)
    return list(sliders.values())


def local_targets(sliders: list[Slider], num: int, seed: int) -> dict[str, Column]:
    """Normal slider values, clipped to the slider's ends."""
    rng = np.random.default_rng(seed + 1)
    columns = {}
    for sigma, positive, negative in sliders:
        value = np.clip(rng.normal(0, sigma, num), -1, 1)
        columns |= {n: np.maximum(value, 0) for n in positive} | {
            n: np.maximum(-value, 0) for n in negative
        }
    return columns


def _corners(value: Column, knots: dict[str, float]) -> dict[str, Column]:
    """Piecewise-linear partition of unity over named knots."""
    positions = list(knots.values())
    eye = np.eye(len(positions))
    return {name: np.interp(value, positions, eye[i]) for i, name in enumerate(knots)}


def macro_coefficients(people: dict[str, Column], names: set[str]) -> dict[str, Column]:
    """MakeHuman's own blending of macro targets: products of corner weights, a column per target.

    `people` holds gender (0 female, 1 male), age (0.1875 child, 0.5 = 25 years, 1 = 90 years),
    muscle, weight, height, proportions, cup, firmness in [0, 1] and the shares african, asian,
    caucasian.
    """
    thirds = {"min": 0.0, "average": 0.5, "max": 1.0}
    axes = {
        "gender": _corners(people["gender"], {"female": 0.0, "male": 1.0}),
        "age": _corners(people["age"], {"child": 0.1875, "young": 0.5, "old": 1.0}),
        "race": {r: people[r] for r in ("african", "asian", "caucasian")},
        "proportions": _corners(people["proportions"], {"uncommon": 0.0, "": 0.5, "ideal": 1.0}),
    } | {a: _corners(people[a], thirds) for a in ("muscle", "weight", "cup", "firmness")}
    axes["height"] = _corners(0.5 + HEIGHT_SPAN * (people["height"] - 0.5), thirds)
    person = "{gender}-{age}-{muscle}muscle-{weight}weight"
    patterns = [
        "macrodetails/{race}-{gender}-{age}",
        f"macrodetails/universal-{person}",
        f"macrodetails/height/{person}-{{height}}height",
        f"macrodetails/proportions/{person}-{{proportions}}proportions",
        f"breast/{person}-{{cup}}cup-{{firmness}}firmness",
    ]
    columns = {}
    for pattern in patterns:
        used = [a for a in axes if "{" + a + "}" in pattern]
        for corner in itertools.product(*(axes[a] for a in used)):
            name = pattern.format(**dict(zip(used, corner, strict=True)))
            if name in names:
                columns[name] = np.prod(
                    [axes[a][c] for a, c in zip(used, corner, strict=True)], axis=0
                )
    return columns


def body_mass_index(vertices: Float[np.ndarray, "P V 3"], faces: Int[np.ndarray, "F 3"]) -> Column:
    """kg/m^2 of each person, from the volume inside the closed skin and the height."""
    mass = np.empty(len(vertices))
    for i, person in enumerate(vertices):
        a, b, c = (person[faces[:, k]].astype(np.float64) for k in range(3))
        mass[i] = 1010 * np.einsum("fi,fi->", a, np.cross(b, c)) / 6
    skin = vertices[:, np.unique(faces), 1]
    return mass / (skin.max(axis=1) - skin.min(axis=1)) ** 2


def attribute_directions(
    people: dict[str, Column], bmi: Column, scores: Float[np.ndarray, "P K"]
) -> dict[str, np.ndarray]:
    """How attributes steer betas: a linear regression of the scores on the sampled attributes.

    `named_betas[k]` is the change of betas from one end of slider k to the other. `weight` runs
    over a body-mass index of 14 to 34; `child` from adult (0) to a child of about 9 (1);
    `named_residual` is the Cholesky factor of what the attributes leave open.
    """
    names = ("gender", "muscle", "height", "proportions", "cup", "african", "asian")
    columns = {k: people[k] for k in names}
    columns["weight"] = (bmi - 14) / 20
    columns["age"] = np.clip((people["age"] - 0.5) / 0.5, 0, 1)
    columns["child"] = np.clip((0.5 - people["age"]) / (0.5 - 0.3), 0, 1)
    values = np.stack(list(columns.values()), axis=1)
    centred = values - values.mean(axis=0)
    slopes, *_ = np.linalg.lstsq(centred, scores, rcond=None)
    covariance = np.cov((scores - centred @ slopes).T)
    residual = np.linalg.cholesky(covariance + 1e-9 * np.eye(len(covariance)))
    return {
        "named_betas": slopes.astype(np.float32),
        "named_betas_names": np.array(list(columns)),
        "named_means": values.mean(axis=0).astype(np.float32),
        "named_residual": residual.astype(np.float32),
    }
