"""`card.md`: the data card of a set, written from its index and its manifest."""

from collections import Counter

from toolkit.dataset.bulk.folder import SetFolder, write_bytes
from toolkit.dataset.bulk.index import read_index
from toolkit.dataset.bulk.manifest import Manifest
from toolkit.dataset.bulk.markdown import table
from toolkit.weights.licences import FREE, PARTS, binding, source_of

LOADING = """```python
import io, json
import numpy as np
import webdataset as wds

for sample in wds.WebDataset("shards/people-000000.tar"):
    about = json.loads(sample["json"])
    z = np.load(io.BytesIO(sample["gaussians.npz"]))
    means = (np.cumsum(z["coarse_means"], 1, dtype=int) + z["change_means"]).T * z["step_means"]
```"""


def write_card(folder: SetFolder, manifest: Manifest) -> None:
    """Write `card.md`."""
    rows = read_index(folder)
    sections = [_head(folder, manifest, rows), _contents(), _licences(manifest, rows)]
    if rows and "attributes_age" in rows[0]:
        from toolkit.dataset.bulk.card_people import balance, marginals, metrics  # loads scipy

        sections += [metrics(rows), balance(manifest, rows), marginals(rows)]
    write_bytes(folder.path / "card.md", ("\n".join(sections)).encode())


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
    return f"# A set of synthetic people\n\n{made}\n{table(['', ''], facts)}\n{sheet}{note}"


def _contents() -> str:
    return f"""## Files
`index.parquet` has a row per sample; `shards/people-000000.tar` and the following hold the samples,
`rejects/` what was not good enough, `quarantine/` what failed. `dataset.json` holds the settings,
the versions and the SHA-256 of every file: `python -m toolkit dataset verify DIR` compares them.

## What a sample holds
| file | content |
|---|---|
| `json` | attributes, prompt, source of the picture, camera, fitted and true body, metrics |
| `photo.webp`, `mask.png` | the picture and where the person is |
| `gaussians.npz` | coarse and refined Gaussians in the T-pose, as whole numbers of steps |
| `thumb_*.jpg` | photo, coarse front, refined front, refined back |

Metres, y up, the person faces +z; cameras are OpenCV's. The index repeats the numbers. Nothing of
ours is needed to read it:

{LOADING}
"""


def _licences(manifest: Manifest, rows: list[dict]) -> str:
    """Who made which part, and under which licence."""
    profile = manifest.settings.get("profile", "embedded")
    avatars = "CC0-1.0" if profile == "embedded" else "those of the models, see below"
    parts: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        parts["attributes", "this repository", "CC0-1.0"] += 1
        if writer := row.get("prompt_model"):
            free = writer == "template grammar"
            parts["prompt", writer, "CC0-1.0" if free else "that of the model's outputs"] += 1
        if maker := row.get("image_model"):
            parts["picture", maker, row["image_licence"]] += 1
            parts["body and avatars", f"{profile} profile", avatars] += 1
    lines = [[*key, number] for key, number in sorted(parts.items())]
    text = "## Licences\n" + table(["part", "made by", "licence", "people"], lines)
    return text + _what_binds(manifest, rows)


def _what_binds(manifest: Manifest, rows: list[dict]) -> str:
    """The strictest use among all models that made the set; nothing where all of it is free."""
    parts = [manifest.settings, *(source["settings"] for source in manifest.sources)]
    made = {(PARTS[k], v) for part in parts for k, v in part.get("models", {}).items()}
    made |= {("picture", row["image_model"]) for row in rows if row.get("image_model")}
    made |= {("prompt", row["prompt_model"]) for row in rows if row.get("prompt_model")}
    sources = [source_of(part, name) for part, name in sorted(made)]
    if not any(source.use != FREE for source in sources):
        return ""
    use, by = binding(sources)
    lines = [[s.part, s.made_by, s.licence, s.use, s.note] for s in sources]
    names = ["part", "model", "licence of its weights", "use of its outputs", "note"]
    return f"\nThe set as a whole: **{use}** ({by}). No legal advice.\n\n{table(names, lines)}"
