"""Means and tables of `experiments.conditional_mean`."""

import numpy as np

from experiments.document import markdown_table, number

GROUPS = {  # key in the JSON: words
    "choices/back/all": "back, all people",
    "choices/back/full": "back, full-body photos",
    "choices/back/upper": "back, upper-body photos",
    "choices/side/all": "side, all people",
    "grain/back/all": "back, wrinkles and strands drawn again as well",
    "light/back/all": "back, only the light changed",
}
HEADS = (
    "",
    "people",
    "avatar against one truth, dB",
    "against their mean, dB",
    "error",
    "bias",
    "variance",
    "irreducible share, %",
    "ceiling, dB",
    "a perfect sampler's gain, dB",
)


def summarise(rows: list[dict]) -> dict[str, dict]:
    """Means over people of each "kind/sector/framing"; framing "all" holds everybody."""
    table = {}
    keys = {(r["kind"], r["sector"], f) for r in rows for f in ("all", r["framing"])}
    for kind, sector, framing in sorted(keys):
        chosen = [
            r
            for r in rows
            if (r["kind"], r["sector"]) == (kind, sector) and framing in ("all", r["framing"])
        ]
        group = {
            name: region_summary([r["regions"][name] for r in chosen])
            for name in chosen[0]["regions"]
        }
        energy = {
            k: np.sum([r["contrast"][k] for r in chosen], axis=0) for k in chosen[0]["contrast"]
        }
        group["contrast_to_truth"] = {
            k: np.sqrt(energy[k] / energy["truth"]).tolist() for k in ("mean", "avatar")
        }
        table[f"{kind}/{sector}/{framing}"] = {"people": len(chosen)} | group
    return table


def region_summary(rows: list[dict[str, float]]) -> dict:
    """Mean squares x 1000, their shares with a bootstrap interval, PSNRs and the ceilings in dB.

    The ceiling is what the best regressor, the mean itself, would gain over the avatar. A sampler
    that draws a true posterior sample has twice the variance as its error.
    """
    bias, variance = (np.array([r[k] for r in rows]) for k in ("bias", "variance"))
    pick = np.random.default_rng(0).integers(len(rows), size=(2000, len(rows)))
    shares = variance[pick].sum(1) / (bias + variance)[pick].sum(1)
    total = bias.mean() + variance.mean()
    return {
        "bias": float(1000 * bias.mean()),
        "variance": float(1000 * variance.mean()),
        "tint": float(1000 * np.mean([r["tint"] for r in rows])),
        "irreducible": float(variance.mean() / total),
        "irreducible_low_high": np.quantile(shares, (0.025, 0.975)).tolist(),
        "psnr_one": float(np.mean([r["psnr_one"] for r in rows])),
        "psnr_mean": float(np.mean([r["psnr_mean"] for r in rows])),
        "ceiling_db": float(10 * np.log10(total / variance.mean())),
        "sampler_db": float(10 * np.log10(total / (2 * variance.mean()))),
    }


def tables(numbers: dict) -> dict[str, str]:
    """The split of the error; its shares by band of rows; the contrast by octave."""
    table = numbers["table"]
    groups = {key: table[key] for key in GROUPS if key in table}
    caption = (
        f"{numbers['people']} {numbers['split']} people, {numbers['truths'] - 1} others with the "
        "same photo for each. Mean squares x 1000 inside the silhouette; the interval of the "
        "irreducible share by bootstrap over people:\n\n"
    )
    rows = [[GROUPS[key], str(g["people"]), *cells(g["person"])] for key, g in groups.items()]
    back, side = table["choices/back/all"], table["choices/side/all"]
    bands = [
        [name, *(number(100 * g[name]["irreducible"], 0) for g in (back, side))]
        + [number(100 * g[name]["tint"] / g[name]["bias"], 0) for g in (back, side)]
        for name in ("head", "trunk", "legs", "person")
    ]
    heads = ["% of", "irreducible: back", "side", "bias mended by one gain: back", "side"]
    octaves = [
        [f"{name} of {who}", *(number(100 * x, 0) for x in g["contrast_to_truth"][key])]
        for name, g in (("back", back), ("side", side))
        for key, who in (("mean", "the mean of all truths"), ("avatar", "the avatar"))
    ]
    return {
        "": caption + markdown_table(HEADS, rows),
        "bands": markdown_table(heads, bands),
        "contrast": markdown_table(
            ["contrast, % of a single truth's", "octave 1 (finest)", "2", "3", "4"], octaves
        ),
    }


def cells(row: dict) -> list[str]:
    """One line of the first table."""
    low, high = row["irreducible_low_high"]
    return [
        number(row["psnr_one"], 2),
        number(row["psnr_mean"], 2),
        number(row["bias"] + row["variance"], 1),
        number(row["bias"], 1),
        number(row["variance"], 1),
        f"{100 * row['irreducible']:.0f} ({100 * low:.0f} to {100 * high:.0f})",
        f"{row['ceiling_db']:+.1f}",
        f"{row['sampler_db']:+.1f}",
    ]
