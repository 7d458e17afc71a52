"""Write a TOOLKIT_WEIGHTS folder with a tiny random model of every real class, for dry runs.

    python -m tools.upkeep.tiny_weights OUT
    TOOLKIT_WEIGHTS=OUT TOOLKIT_DEVICE=cpu python -m toolkit avatar PHOTO --out DIR \\
        --profile full --views 5 --size 64x32 --steps 4

Names, layout and classes are those of the published weights, so the whole full profile can be run
anywhere. What it draws is nonsense: a smooth, colourful cloud in the shape of a body.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import torch
import typer
from safetensors.torch import load_file
from torch import Tensor, nn

from toolkit.body.npz import load_body
from toolkit.coarse.lhm.tiny import write_tiny
from toolkit.dataset.tiny import tiny_flux, tiny_llama
from toolkit.photo.multihmr.weights import save_multihmr, tiny_multihmr
from toolkit.prior.wan.tiny import write_tiny_wan
from toolkit.run.files import atomic_path, model_path
from toolkit.weights.sets import STAND_IN
from toolkit.weights.table import WEIGHTS
from tools.command import run

NUM_POINTS = 20_000  # as LHM-MINI; the file of points is called after it
WARNING = """\
These are not the published weights. tools/upkeep/tiny_weights.py made a tiny stand-in with random
weights, so that the full profile can be run through on any machine. What it draws is nonsense.
Licence: CC0, as the body in data/models/body.npz from which its geometry comes.
"""


class Tree(nn.Module):
    """Parameters under dotted names, so that a TorchScript file has a checkpoint's own keys."""

    def __init__(self, state: dict[str, Tensor]):
        super().__init__()
        for name in {key.split(".")[0] for key in state}:
            if name in state:
                self.register_parameter(name, nn.Parameter(state[name]))
            else:
                below = {
                    key.split(".", 1)[1]: value
                    for key, value in state.items()
                    if key.startswith(f"{name}.")
                }
                self.add_module(name, Tree(below))

    def forward(self, x: Tensor) -> Tensor:
        return x


def write_script(state: dict[str, Tensor], path: Path) -> None:
    """A TorchScript archive with these tensors, as Sapiens is released."""
    with atomic_path(path) as tmp:
        torch.jit.save(torch.jit.trace(Tree(state), torch.zeros(1)), str(tmp))


def write_body(out: Path) -> None:
    """Our CC0 body under the name of the licensed one; it has the same layout."""
    source = model_path("body.npz", made_by="python -m tools.bake.body")
    shutil.copyfile(source, made(out, "smplx") / "SMPLX_NEUTRAL.npz")


def write_pose(out: Path) -> None:
    """Multi-HMR; the name promises 896 pixels, the net says itself that it wants 112."""
    save_multihmr(tiny_multihmr(), made(out, "multi-hmr") / WEIGHTS["multi-hmr"].files[0])


def write_lhm(out: Path) -> None:
    """LHM-MINI, its points and Sapiens, each in a folder of its own."""
    lhm, points, sapiens = (
        made(out, name) for name in ("lhm-mini", "lhm-points-20k", "sapiens-1b")
    )
    with tempfile.TemporaryDirectory() as folder:
        made_here = write_tiny(folder, load_body(), num_points=NUM_POINTS)
        for name in WEIGHTS["lhm-mini"].files:
            shutil.copyfile(made_here / name, lhm / name)
        shutil.copyfile(made_here / f"1_{NUM_POINTS}.ply", points / f"1_{NUM_POINTS}.ply")
        write_script(
            load_file(made_here / "sapiens_tiny.safetensors"),
            sapiens / WEIGHTS["sapiens-1b"].files[0],
        )


def write_wan(out: Path) -> None:
    """Wan2.1: VAE, transformer, text encoder, tokenizer, scheduler."""
    write_tiny_wan(made(out, "wan2.1-t2v-1.3b"))


def write_chat(out: Path) -> None:
    """A Llama for the prompts."""
    model, tokenizer = tiny_llama()
    for part in (model, tokenizer):
        part.save_pretrained(made(out, "llama-3.3-70b"))


def write_images(out: Path) -> None:
    """A FLUX pipeline for the pictures."""
    tiny_flux().save_pretrained(made(out, "flux.1-dev"), safe_serialization=True)


def made(out: Path, name: str) -> Path:
    """The folder of a weight, with a note that says what lies in it."""
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STAND_IN).write_text(WARNING)
    return folder


def write_all(out: Path) -> Path:
    """Every stage's weights; some 60 MB."""
    for write in (write_body, write_pose, write_lhm, write_wan, write_chat, write_images):
        write(out)
    (out / "README.txt").write_text(WARNING)
    return out


def main(
    out: Annotated[Path, typer.Argument(help="new folder, to be set as TOOLKIT_WEIGHTS")],
) -> None:
    """Write every stage's weights."""
    write_all(out)
    print(f"Written. Use it with: export TOOLKIT_WEIGHTS={out.resolve()} TOOLKIT_DEVICE=cpu")


if __name__ == "__main__":
    raise SystemExit(run(main))
