"""Write docs/core.md: the core of the package in reading order, with lines and one sentence each.

    python -m tools.upkeep.core_page

The sentence of a file is the first one of its docstring, so the page cannot drift from the code; a
test compares it with what this module would write.
"""

import ast
import importlib
import inspect
from pathlib import Path

from toolkit.run.files import atomic_path
from tools.command import run

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "core.md"
MOST_LINES = 3000  # an hour's reading

# The embedded path from a photo to a refined avatar, in the order of the data.
CORE = {
    "The types": ["gaussians", "cameras"],
    "The body": ["body.anchors", "body.rig"],
    "The photo": ["photo.crop", "photo.smplify.fit"],
    "Pictures of Gaussians": ["render.api"],
    "The coarse avatar": ["coarse.observation", "coarse.small", "coarse.from_photo"],
    "The video prior and SDEdit": ["prior.sdedit", "prior.prior", "prior.turntable.model"],
    "The refined avatar": [
        "refine.turntable",
        "refine.edit",
        "refine.target",
        "refine.losses",
        "refine.refit",
    ],
    "The whole job": ["profiles.base", "profiles.embedded", "run.folder", "pipeline"],
}

# Question -> the place, as module:name; the test imports every one.
PLACES = {
    "Where is the sigma schedule?": ["prior.sdedit:sigmas_for", "prior.sdedit:start_index"],
    "Where is the SDEdit loop?": ["prior.sdedit:sdedit"],
    "What keeps the Gaussians one to one?": [
        "refine.refit:fit",
        "refine.refit:FitConfig",
        "refine.losses:change_losses",
    ],
    "Where are Gaussians posed?": ["body.rig:Rig.motions"],
    "Where is the loss of the refit?": ["refine.losses:picture_losses"],
    "Where is Wan's VAE called?": [
        "prior.wan.model:WanPrior.to_latents",
        "prior.wan.model:WanPrior.to_clip",
    ],
    "What must a new video prior have?": ["prior.prior:Prior"],
    "Which models does a profile run?": [
        "profiles.embedded:EmbeddedProfile",
        "profiles.full:FullProfile",
    ],
    "What depends on the command line's options?": ["profiles.base:PipelineConfig"],
}

NEW_PRIOR = '''
```python
from torch.nn.functional import avg_pool3d

from toolkit import PipelineConfig, build_avatar, load_profile
from toolkit.prior import Encoded, SDEditConfig
from toolkit.profiles import with_prior


class Smooth:
    """A third prior: it believes that the clean clip is a blurred version of the noisy one."""

    def encode(self, known):
        return Encoded(latents=known.coarse, keep=known.seen, condition=None)

    def velocity(self, x, sigma, condition):
        clean = avg_pool3d(x, (1, 5, 5), stride=1, padding=(0, 2, 2))
        return (x - clean) / sigma  # the velocity of the straight line that ends at `clean`

    def decode(self, latents, known):
        return latents


profile = with_prior(load_profile("embedded"), Smooth(), name="smooth")
config = PipelineConfig(edit=SDEditConfig(strength=0.3, num_inference_steps=20, shift=1.0))
build_avatar("data/samples/person.jpg", "runs/smooth", config, profile=profile)
```

The settings of the edit are part of a prior: the embedded default starts from pure noise in one
step, which suits the repairer only. A clip that is not like the coarse one (shape, dtype, NaN, a
gradient) is refused by `refine.edit.edit_clip`.
'''


def path_of(module: str) -> Path:
    """File of a module, named without `toolkit.`."""
    return ROOT.joinpath("toolkit", *module.split(".")).with_suffix(".py")


def num_lines(path: Path) -> int:
    """Lines with something on them."""
    return sum(bool(line.strip()) for line in path.read_text(encoding="utf-8").splitlines())


def first_sentence(path: Path) -> str:
    """What the file says of itself."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    return " ".join(docstring.split("\n\n")[0].split())


def core_lines() -> int:
    """Length of the core."""
    return sum(num_lines(path_of(name)) for names in CORE.values() for name in names)


def locate(place: str) -> tuple[Path, int]:
    """File and line of a place such as `body.rig:Rig.motions`."""
    module, _, name = place.partition(":")
    thing = importlib.import_module(f"toolkit.{module}")
    for part in name.split("."):
        thing = getattr(thing, part)
    return path_of(module), inspect.getsourcelines(inspect.unwrap(thing))[1]


def page() -> str:
    """The text of docs/core.md."""
    lines = [
        "# The core, in reading order",
        "",
        "<!-- written by: python -m tools.upkeep.core_page -->",
        "",
        "These files are the main line of the embedded path from a photo to a refined avatar: "
        f"{core_lines():,} lines (blank lines not counted), about an hour. Read them from top to "
        "bottom; what they use from other files can be taken on trust at first.",
    ]
    for title, names in CORE.items():
        lines += ["", f"## {title}", "", "| file | lines | |", "|---|---|---|"]
        for name in names:
            path = path_of(name)
            link = path.relative_to(ROOT).as_posix()
            lines.append(f"| [{link}](../{link}) | {num_lines(path)} | {first_sentence(path)} |")
    lines += ["", "## Where is what", "", "| question | look at |", "|---|---|"]
    for question, places in PLACES.items():
        answers = []
        for place in places:
            link = locate(place)[0].relative_to(ROOT).as_posix()
            answers.append(f"`{place.partition(':')[2]}` in [{link}](../{link})")
        lines.append(f"| {question} | {', '.join(answers)} |")
    lines += [
        "",
        "## A third video prior",
        "",
        "A prior is any object with the three functions of `Prior`. This one runs through the "
        "whole job. A prior with a VAE encodes and decodes where this one returns the clip itself.",
        NEW_PRIOR.rstrip(),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the page."""
    with atomic_path(PAGE) as tmp:
        tmp.write_text(page(), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}: {core_lines()} lines of code")


if __name__ == "__main__":
    raise SystemExit(run(main))
