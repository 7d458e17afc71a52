"""The tables of docs/full_profile.md: memory of every stage, shift and guidance of every Wan.

    python -m tools.upkeep.memory_table

They are computed from the sizes of the published downloads, so that they are the same on every
machine; `python -m toolkit doctor` counts the files that are really there, which is a little less.
"""

import os
import re
import tempfile
from pathlib import Path

from huggingface_hub import constants

from experiments.document import markdown_table
from toolkit.prior.wan.advice import ADVICE
from toolkit.prior.wan.grid import LatentGrid
from toolkit.prior.wan.memory import choose_plan
from toolkit.prior.wan.published import MODELS
from toolkit.profiles.memory import CLIP_SIZE, NUM_VIEWS, Need, coarse_need, stage_need
from toolkit.run.files import atomic_path
from toolkit.weights.sets import SETS
from tools.command import run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "full_profile.md"
MARK = "<!-- table: python -m tools.upkeep.memory_table ({}) -->\n"
END = "<!-- end of table -->"
HEADS = ("weights", "GPU, least GB", "GPU, at its best GB", "main memory GB")


def memory_table() -> str:
    """Memory of every stage with every set of weights, if none of them is on this machine."""
    rows = [_row("Multi-HMR", stage_need("pose", SETS["pose"][0]))]
    for names in sorted(SETS["coarse"], key=lambda names: coarse_need(*names).gpu_gb):
        need = stage_need("coarse", names)
        best = re.search(r"([\d.]+) GB", need.runs(1e3))[1]
        rows.append(_row(f"{names[0]}: bfloat16, float32", need, best))
    for names in SETS["prior"]:
        rows.append(
            _row(
                f"{names[0]}: leanest, fastest plan", stage_need("prior", names), _fastest(names[0])
            )
        )
    rows.append(_row("gsplat (estimate)", stage_need("rasteriser", ())))
    rows += [_row(names[0], stage_need("images", names)) for names in SETS["images"]]
    return markdown_table(HEADS, rows)


def _row(name: str, need: Need, best: str = "") -> list[str]:
    main = f"{need.main_gb:.1f}" if need.main_gb else ""
    return [name, f"{need.gpu_gb:.1f}", best, main]


def _fastest(name: str) -> str:
    """Peak of the plan that a very large GPU gets."""
    transformer = next(model.transformer for model in MODELS.values() if model.weight.name == name)
    clip = LatentGrid(NUM_VIEWS, *CLIP_SIZE, close_loop=True).padded
    return f"{choose_plan(1e3, transformer, clip).peak_gb:.1f}"


def advice_table() -> str:
    """Shift and guidance of every Wan."""
    rows = [
        [MODELS[name].weight.name, f"{a.shift:g}", f"{a.guidance_scale:g}", a.source]
        for name, a in ADVICE.items()
    ]
    return markdown_table(("weights", "shift", "guidance", "source"), rows)


def page() -> str:
    """The page with its tables computed anew."""
    text = PAGE.read_text(encoding="utf-8")
    for part, make in (("memory", memory_table), ("sampling", advice_table)):
        before, _, rest = text.partition(MARK.format(part))
        text = f"{before}{MARK.format(part)}{make()}{END}{rest.partition(END)[2]}"
    return text


def main() -> None:
    """Write both tables into docs/full_profile.md, as for a machine that holds no weights."""
    with tempfile.TemporaryDirectory() as nowhere:
        os.environ["TOOLKIT_WEIGHTS"] = constants.HF_HUB_CACHE = nowhere
        text = page()
    with atomic_path(PAGE) as tmp:
        tmp.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(run(main))
