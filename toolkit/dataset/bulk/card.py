"""`card.md`: the data card of a set, written from its index and its manifest."""

from collections import Counter

from toolkit.dataset.balance_measures import measure_balance
from toolkit.dataset.bulk.folder import SetFolder, write_bytes
from toolkit.dataset.bulk.index import read_index
from toolkit.dataset.bulk.manifest import Manifest
from toolkit.dataset.records import AttributeRecord
from toolkit.dataset.selection import choices_of, parse_selection
from toolkit.dataset.targets import make_targets
from toolkit.dataset.vocabulary import ATTRIBUTES, GROUPS

LOADING = """```python
import io, json
import numpy as np
import webdataset as wds

for sample in wds.WebDataset("shards/people-000000.tar"):
    about = json.loads(sample["json"])
    z = np.load(io.BytesIO(sample["gaussians.npz"]))
    means = (np.cumsum(z["coarse_means"], 1, dtype=int) + z["change_means"]).T * z["step_means"]
```"""
LARGEST_PAIRS = 10


def write_card(folder: SetFolder, manifest: Manifest) -> None:
    """Write `card.md`."""
    rows = read_index(folder)
    sections = [_head(folder, manifest, rows), _contents(), _licences(rows)]
    if rows and "attributes_age" in rows[0]:
        sections += [_metrics(rows), _balance(manifest, rows), _marginals(rows)]
    write_bytes(folder.path / "card.md", ("\n".join(sections)).encode())


def _table(heads: list[str], rows: list[list[object]]) -> str:
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def _head(folder: SetFolder, manifest: Manifest, rows: list[dict]) -> str:
    size = sum(shard.bytes for shard in manifest.shards)
    facts = [
        ["people", len(rows)],
        ["records", manifest.count],
        *([f"rejected: {reason}", number] for reason, number in manifest.rejected.items()),
        ["in quarantine", manifest.failed],
        ["shards", len(manifest.shards)],
        ["kB per person", round(size / max(len(rows), 1) / 1000, 1)],
    ]
    sheet = "![the first people](sheet.jpg)\n" if (folder.path / "sheet.jpg").is_file() else ""
    note = "*Each person: photo, coarse avatar, refined avatar from the front and the back.*\n"
    made = "Made by `python -m toolkit synthesize`; everybody in it is synthetic.\n"
    return f"# A set of synthetic people\n\n{made}\n{_table(['', ''], facts)}\n{sheet}{note}"


def _contents() -> str:
    return f"""## What a sample holds
| file | content |
|---|---|
| `json` | attributes, prompt, source of the picture, camera, fitted and true body, metrics |
| `photo.webp`, `mask.png` | the picture and where the person is |
| `gaussians.npz` | coarse and refined Gaussians in the T-pose, as whole numbers of steps |
| `thumb_*.jpg` | photo, coarse front, refined front, refined back |

Metres, y up, the person faces +z; cameras are OpenCV's. The index has a row per sample with the
same numbers, the shard and the SHA-256. Nothing of ours is needed to read it:

{LOADING}
"""


def _licences(rows: list[dict]) -> str:
    pictures = Counter((r.get("image_model"), r.get("image_licence")) for r in rows)
    prompts = Counter(r.get("prompt_model") for r in rows)
    table = [["attributes, avatars, code of the set", "this repository", "CC0-1.0", len(rows)]]
    table += [
        ["prompts", model, "as its model says", n]
        for model, n in sorted(prompts.items(), key=str)
        if model and model != "template grammar"
    ]
    table += [
        ["prompts", model, "CC0-1.0", n]
        for model, n in prompts.items()
        if model == "template grammar"
    ]
    table += [
        ["pictures", model, licence, n] for (model, licence), n in sorted(pictures.items(), key=str)
    ]
    return "## Licences\n" + _table(["part", "made by", "licence", "people"], table)


def _metrics(rows: list[dict]) -> str:
    table = []
    for name in [n for n in rows[0] if n.startswith("metrics_")]:
        values = sorted(r[name] for r in rows if r[name] is not None)
        if values:
            picks = [values[round(share * (len(values) - 1))] for share in (0, 0.05, 0.5, 0.95, 1)]
            table.append([name.removeprefix("metrics_"), *(f"{value:.4g}" for value in picks)])
    heads = ["", "least", "5 %", "median", "95 %", "largest"]
    return "## Quality, in the photo's own view\n" + _table(heads, table)


def records_of(rows: list[dict]) -> list[AttributeRecord]:
    """Attribute records of the rows of an index."""
    column = {name: f"attributes_{name}".replace(" ", "_") for name in ATTRIBUTES}
    return [
        AttributeRecord(r["index"], r["seed"], {name: r[c] for name, c in column.items()})
        for r in rows
    ]


def _balance(manifest: Manifest, rows: list[dict]) -> str:
    fixed, excluded = parse_selection(manifest.settings.get("selection", ()))
    report = measure_balance(records_of(rows), make_targets(choices_of(fixed, excluded)))
    pairs = sorted(report.cramers_v.items(), key=lambda item: -item[1])[:LARGEST_PAIRS]
    factor, deviation = report.largest_deviation
    text = (
        f"Largest deviation of a share from its target: {100 * deviation:.1f} % ({factor}). "
        f"Mean Cramer's V of every two attributes: {report.mean_v:.3f}. The largest:\n\n"
    )
    table = [[" / ".join(pair), f"{v:.3f}"] for pair, v in pairs]
    return "## Balance\n" + text + _table(["pair", "Cramer's V"], table)


def _marginals(rows: list[dict]) -> str:
    parts = ["## Shares of every value\n"]
    for group, names in GROUPS.items():
        parts.append(f"### {group}\n")
        table = []
        for name in names:
            counts = Counter(r[f"attributes_{name}".replace(" ", "_")] for r in rows)
            shares = ", ".join(f"{v} {100 * n / len(rows):.0f} %" for v, n in counts.most_common())
            table.append([name, shares])
        parts.append(_table(["attribute", "shares"], table))
    return "\n".join(parts)
