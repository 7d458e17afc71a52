"""LHM's image encoders: pictures to tokens, by two plain vision transformers.

head crop --DINOv2 with registers--> four depths, combined --> 1024 tokens    HeadEncoder
person    --Sapiens----------------> last depth           --> 4096 tokens    BodyEncoder

Both are the vision transformer of `photo.vit`, whose parameters have DINOv2's published names; the
names of Sapiens are translated on loading. `transformers` has such backbones too, but under other
names than these files: translating them would take as much code as the classes here.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn

from toolkit.errors import InputError, MissingFileError, fail
from toolkit.photo.vit import VisionTransformer, VitConfig

# How the table of positions is resized, should a picture have another number of patches.
RESIZE = {"offset": None, "antialias": True}
DINOV2_L = VitConfig(num_registers=4, mask_token=False, **RESIZE)
SAPIENS_1B = VitConfig(1536, 40, patch=16, grid=64, scaled=False, mask_token=False, **RESIZE)


Encoder = TypeVar("Encoder", bound=nn.Module)


class _Fusion(nn.Module):
    """1x1 convolutions: one per depth, then one over all depths; key `fusion_head`."""

    def __init__(self, dim: int, widths: Sequence[int], out: int):
        super().__init__()
        self.projects = nn.ModuleList(nn.Conv2d(dim, width, 1) for width in widths)
        self.output_conv = nn.Conv2d(sum(widths), out, 1)

    def forward(self, tokens: list[Float[Tensor, "B T D"]]) -> Float[Tensor, "B T E"]:
        # a 1x1 convolution treats tokens one by one, so they can stay a line: (B, D, T, 1)
        maps = [p(t.mT[..., None]) for p, t in zip(self.projects, tokens, strict=True)]
        return self.output_conv(torch.cat(maps, dim=1))[..., 0].mT


class HeadEncoder(nn.Module):
    """DINOv2 with registers, four depths combined; the checkpoint's keys below `encoder.`."""

    def __init__(self, config: VitConfig, widths: Sequence[int], out: int):
        super().__init__()
        self.model = VisionTransformer(config)
        self.fusion_head = _Fusion(config.dim, widths, out)

    @torch.no_grad()
    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B T E"]:
        """Tokens of head crops in [0, 1], not normalised, e.g. 448 x 448 pixels."""
        depths = fused_depths(self.model.config.depth)
        return self.fusion_head(self.model.intermediate(images, depths))


class BodyEncoder(nn.Module):
    """Sapiens: tokens of the whole person.

    LHM was trained on tokens that Sapiens computed with float32 weights under autocast: products of
    matrices in bfloat16; sums, norms and everything between the layers in float32.
    """

    def __init__(self, config: VitConfig, autocast: bool = False):
        """An encoder of these sizes.

        Args:
            autocast: run the matrix products in bfloat16, as LHM's training did.
        """
        super().__init__()
        self.model, self.autocast = VisionTransformer(config), autocast

    @torch.no_grad()
    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B T D"]:
        """Tokens of normalised pictures, e.g. 1024 x 1024 pixels; see `images.body_input`."""
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.autocast):
            return self.model(images)


def fused_depths(depth: int) -> list[int]:
    """Indices of the four blocks whose outputs are combined.

    A shallow block keeps edges and colours, a deep one knows what they belong to.

    Source: the multi-layer heads of DINOv2 (Oquab et al. 2023).
    """
    return [4, 11, 17, 23] if depth == 24 else [depth * (i + 1) // 4 - 1 for i in range(4)]


def load_head_encoder(
    state_dict: Mapping[str, Tensor],
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> HeadEncoder:
    """The head encoder inside an LHM checkpoint; all keys but `encoder.*` are left out.

    Args:
        state_dict: of the whole checkpoint.

    Raises:
        InputError: no complete DINOv2 with its fusion head under `encoder.`.
    """
    state = {
        k.removeprefix("encoder."): v
        for k, v in state_dict.items()
        if k.startswith("encoder.") and not k.endswith("mask_token")
    }

    def build() -> HeadEncoder:
        config = VitConfig.of_state(_without_prefix(state), **RESIZE)
        widths = [state[f"fusion_head.projects.{i}.weight"].shape[0] for i in range(4)]
        return HeadEncoder(config, widths, state["fusion_head.output_conv.weight"].shape[0])

    return _fill(build, state, "LHM's head encoder", device, dtype)


# Names of Sapiens (they are mmpretrain's) and ours; the prefix before them differs between files.
SAPIENS_NAMES = (
    (r"^patch_embed\.projection\.", "patch_embed.proj."),
    (r"^layers\.", "blocks."),
    (r"^ln1\.", "norm."),
    (r"\.ln1\.", ".norm1."),
    (r"\.ln2\.", ".norm2."),
    (r"\.ffn\.layers\.0\.0\.", ".mlp.fc1."),
    (r"\.ffn\.layers\.1\.", ".mlp.fc2."),
)


def load_body_encoder(
    state_dict: Mapping[str, Tensor],
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    autocast: bool = False,
) -> BodyEncoder:
    """Sapiens from its state dict, whatever the prefix of its keys.

    Args:
        autocast: run the matrix products in bfloat16, as LHM's training did.

    Raises:
        InputError: not a complete Sapiens backbone.
    """
    prefix = next((k[: -len("pos_embed")] for k in state_dict if k.endswith("pos_embed")), "")
    state = {}
    for key, value in state_dict.items():
        name = key.removeprefix(prefix)
        if key.startswith(prefix) and re.match(r"cls_token|pos_embed|patch_embed|layers|ln1", name):
            for pattern, ours in SAPIENS_NAMES:
                name = re.sub(pattern, ours, name)
            state[f"model.{name}"] = value

    def build() -> BodyEncoder:
        return BodyEncoder(VitConfig.of_state(_without_prefix(state), **RESIZE), autocast)

    return _fill(build, state, "Sapiens", device, dtype)


def read_sapiens(path: str | os.PathLike) -> dict[str, Tensor]:
    """Tensors of a Sapiens file: safetensors, a plain state dict, or the released TorchScript.

    A TorchScript archive holds code besides tensors. `torch.jit.load` compiles it and runs the
    archive's own unpickler, restricted to TorchScript types; we then take the tensors and never
    call the code. Still, open such files only from a source you trust, or convert them once to
    safetensors.

    Raises:
        MissingFileError: no such file.
        InputError: none of the three.
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise MissingFileError(f"{path} is missing. Get Sapiens-1B (see notebooks/03_lhm_coarse).")
    try:
        if path.endswith(".safetensors"):
            return load_file(path)
        if path.endswith((".pt2", "torchscript.pt")):
            return dict(torch.jit.load(path, map_location="cpu").state_dict())
        state = torch.load(path, map_location="cpu", weights_only=True)
        return state.get("state_dict", state)
    except Exception as error:  # noqa: BLE001  three readers raise many kinds; all mean a bad file
        fail(
            path,
            got=f"{type(error).__name__}: {str(error).splitlines()[0][:120]}",
            wanted="Sapiens as .safetensors, weights-only .pth or TorchScript .pt2",
            fix="Get the file again, or convert it to safetensors.",
        )


def _without_prefix(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix("model."): v for k, v in state.items()}


def _fill(
    build: Callable[[], Encoder],
    state: Mapping[str, Tensor],
    name: str,
    device: str | torch.device,
    dtype: torch.dtype,
) -> Encoder:
    """Build the module on the meta device, where it needs no memory, and take the tensors over."""
    try:
        with torch.device("meta"):
            module = build()
        module.load_state_dict(
            {k: v.detach().to(device, dtype) for k, v in state.items()}, assign=True
        )
    except (KeyError, RuntimeError, InputError) as error:
        fail(
            name,
            got=" ".join(str(error).split())[:200],
            wanted="every tensor of the encoder, of matching shapes",
            fix="Is it the right file, and complete?",
        )
    return module.eval().requires_grad_(False)
