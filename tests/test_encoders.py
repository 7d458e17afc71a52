"""Image encoders against transformers' own classes with the same random weights."""

import re

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from toolkit.coarse.lhm import encoders
from toolkit.coarse.lhm.encoders import DINOV2_L, RESIZE, SAPIENS_1B, BodyEncoder, HeadEncoder
from toolkit.coarse.lhm.tiny import _sapiens_names
from toolkit.errors import InputError, MissingFileError
from toolkit.photo.vit import VisionTransformer, VitConfig

DINO = VitConfig(128, 4, num_registers=4, mask_token=False, **RESIZE)
SAPIENS = VitConfig(128, 3, patch=16, grid=6, mlp_ratio=2, scaled=False, mask_token=False, **RESIZE)


def random_(module, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for value in module.parameters():
        value.data = 0.2 * torch.randn(value.shape, generator=generator)
    return module.eval().requires_grad_(False)


def native_name(name):
    """Hugging Face's names of a (DINOv2-)ViT in the published ones; q, k, v stay apart."""
    for pattern, new in (
        (r"^embeddings\.position_embeddings", "pos_embed"),
        (r"^layernorm\.", "norm."),
        (r"^embeddings\.patch_embeddings\.projection", "patch_embed.proj"),
        (r"^embeddings\.", ""),
        (r"^(?:encoder\.layer|layers)\.", "blocks."),
        (r"\.o_proj\.", ".proj."),
        (r"\.attention\.", ".attn."),
        (r"\.layer_scale(\d)\.lambda1", r".ls\1.gamma"),
        (r"\.layernorm_before\.", ".norm1."),
        (r"\.layernorm_after\.", ".norm2."),
    ):
        name = re.sub(pattern, new, name)
    return name


def native_state(model):
    """A state dict with published names from a Hugging Face ViT."""
    state, parts = {}, {}
    for key, value in model.state_dict().items():
        name = native_name(key)
        if found := re.match(r"(.*\.attn\.)([qkv])_proj\.(\w+)", name):
            parts.setdefault((found[1], found[3]), {})[found[2]] = value
        elif "mask_token" not in name and "pooler" not in name:
            state[name] = value
    for (block, kind), group in parts.items():
        state[f"{block}qkv.{kind}"] = torch.cat([group[c] for c in "qkv"])
    return state


def test_head_encoder_is_dinov2_with_registers():
    transformers = pytest.importorskip("transformers")
    config = transformers.Dinov2WithRegistersConfig(
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=518,
        patch_size=14,
        num_register_tokens=4,
        layer_norm_eps=1e-6,
    )
    theirs = random_(transformers.Dinov2WithRegistersModel(config))
    fusion = random_(HeadEncoder(DINO, [16, 24, 32, 40], 48), seed=1).fusion_head
    ours = encoders.load_head_encoder(
        {
            **{f"encoder.model.{k}": v for k, v in native_state(theirs).items()},
            **{f"encoder.fusion_head.{k}": v for k, v in fusion.state_dict().items()},
            "encoder.model.mask_token": torch.zeros(1, 128),
            "transformer.x": torch.zeros(1),
        }
    )
    images = torch.rand(1, 3, 448, 448, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        hidden = theirs(images, output_hidden_states=True).hidden_states[1:]
        maps = [theirs.layernorm(h)[:, 5:].mT.unflatten(2, (32, 32)) for h in hidden]
        fused = fusion.output_conv(
            torch.cat([p(m) for p, m in zip(fusion.projects, maps, strict=True)], dim=1)
        )
    wanted = fused.flatten(2).mT
    got = ours(images)
    assert got.shape == (1, 1024, 48)
    assert (got - wanted).abs().max() < 1e-4 * wanted.std()


def test_body_encoder_is_a_plain_vit():
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=128,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=256,
        image_size=96,
        patch_size=16,
        layer_norm_eps=1e-6,
    )
    theirs = random_(transformers.ViTModel(config, add_pooling_layer=False))
    state = {f"model.{k}": v for k, v in native_state(theirs).items()}
    ours = encoders.load_body_encoder(_sapiens_names(state))
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        wanted = theirs(images).last_hidden_state[:, 1:]
    assert (ours(images) - wanted).abs().max() < 1e-4 * wanted.std()


def test_tokens_come_row_by_row():
    ours = random_(BodyEncoder(SAPIENS))
    ours.model.pos_embed.zero_()
    for block in ours.model.blocks:
        block.attn.proj.weight.zero_()  # no mixing: each token sees its own patch
        block.attn.proj.bias.zero_()
    image = torch.zeros(1, 3, 96, 96)
    image[..., 16:32, 32:48] = 1  # row 1, column 2
    changed = (ours(image) - ours(torch.zeros_like(image))).abs().amax(-1)[0]
    assert torch.nonzero(changed > 1e-6).flatten().tolist() == [1 * 6 + 2]


def test_position_grid_is_resized_like_dinov2():
    vit = random_(VisionTransformer(DINO))
    places = vit._positions(32, 32)[:, 1:]
    maps = vit.pos_embed[:, 1:].mT.unflatten(2, (37, 37))
    wanted = F.interpolate(maps, (32, 32), mode="bicubic", antialias=True, align_corners=False)
    assert torch.allclose(places, wanted.flatten(2).mT)
    assert torch.equal(vit._positions(37, 37), vit.pos_embed)


@pytest.mark.parametrize(
    "depth, wanted",
    [(12, [2, 5, 8, 11]), (24, [4, 11, 17, 23]), (40, [9, 19, 29, 39]), (4, [0, 1, 2, 3])],
)
def test_depths_that_are_fused(depth, wanted):
    assert encoders.fused_depths(depth) == wanted


def test_released_sizes():
    with torch.device("meta"):
        head = HeadEncoder(DINOV2_L, [1024] * 4, 1024)
        body = BodyEncoder(SAPIENS_1B)
    count = {
        name: sum(p.numel() for p in m.parameters()) / 1e6
        for name, m in (("dino", head.model), ("fusion", head.fusion_head), ("sapiens", body))
    }
    assert count["dino"] == pytest.approx(304.4, abs=0.1)
    assert count["fusion"] == pytest.approx(8.39, abs=0.01)
    assert 1100 < count["sapiens"] < 1200
    published = {
        "cls_token",
        "pos_embed",
        "register_tokens",
        "patch_embed.proj.weight",
        "blocks.23.ls2.gamma",
        "blocks.0.attn.qkv.bias",
        "blocks.0.mlp.fc1.weight",
        "blocks.0.norm2.weight",
        "norm.weight",
    }
    assert published <= set(head.model.state_dict())


class Tree(nn.Module):
    """Parameters under dotted names, so that a TorchScript file has Sapiens' own keys."""

    def __init__(self, state):
        super().__init__()
        for key in {k.split(".")[0] for k in state}:
            if key in state:
                self.register_parameter(key, nn.Parameter(state[key]))
            else:
                below = {k.split(".", 1)[1]: v for k, v in state.items() if k.startswith(f"{key}.")}
                self.add_module(key, Tree(below))

    def forward(self, x):
        return x


@pytest.mark.parametrize("kind", ["safetensors", "pth", "state_dict.pth", "pt2"])
def test_sapiens_files(kind, tmp_path):
    source = random_(BodyEncoder(SAPIENS))
    state, path = _sapiens_names(source.state_dict()), tmp_path / f"sapiens.{kind}"
    if kind == "safetensors":
        save_file(state, path)
    elif kind == "pt2":
        torch.jit.save(torch.jit.trace(Tree(state), torch.zeros(1)), path)
    else:
        torch.save({"state_dict": state} if "dict" in kind else state, path)
    loaded = encoders.load_body_encoder(encoders.read_sapiens(path))
    assert all(torch.equal(v, loaded.state_dict()[k]) for k, v in source.state_dict().items())


class Unsafe:
    def __reduce__(self):
        return (print, ("this must never be printed",))


def test_a_pickle_with_code_is_refused(tmp_path, capsys):
    torch.save({"backbone.pos_embed": Unsafe()}, tmp_path / "sapiens.pth")
    with pytest.raises(InputError, match="convert it to safetensors"):
        encoders.read_sapiens(tmp_path / "sapiens.pth")
    assert "never" not in capsys.readouterr().out


def test_missing_and_incomplete_files_are_named(tmp_path):
    with pytest.raises(MissingFileError):
        encoders.read_sapiens(tmp_path / "sapiens.pt2")
    state = _sapiens_names(random_(BodyEncoder(SAPIENS)).state_dict())
    state.pop("backbone.layers.1.attn.qkv.bias")
    with pytest.raises(InputError, match="Sapiens"):
        encoders.load_body_encoder(state)
    with pytest.raises(InputError, match="LHM's head encoder"):
        encoders.load_head_encoder({"transformer.norm.weight": torch.zeros(3)})


def test_picture_must_fit_the_patches():
    with pytest.raises(InputError, match="multiples of 16"):
        random_(BodyEncoder(SAPIENS))(torch.zeros(1, 3, 90, 96))
