"""Memory of the stages: weights counted in files, activations measured on the real classes."""

import re
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from transformers import Qwen3Config, Qwen3Model, T5Config, T5EncoderModel

from toolkit.coarse.lhm.checkpoint import read_tensors
from toolkit.coarse.lhm.config import RELEASED, LHMConfig
from toolkit.coarse.lhm.encoders import DINOV2_L, SAPIENS_1B
from toolkit.coarse.lhm.network import LHM
from toolkit.photo.multihmr.model import MultiHMR, MultiHMRConfig
from toolkit.photo.vit import VisionTransformer
from toolkit.prior.wan import memory as wan_memory
from toolkit.prior.wan.fake_tensors import peak_bytes
from toolkit.prior.wan.published import MODELS
from toolkit.profiles import memory
from toolkit.weights.counting import count, count_parts, read_shapes
from toolkit.weights.sets import SETS
from toolkit.weights.table import WEIGHTS

diffusers = pytest.importorskip("diffusers")
GB = 1e9


@pytest.fixture(autouse=True)
def weights(tmp_path, monkeypatch):
    """A machine without weights."""
    monkeypatch.setenv("TOOLKIT_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


def numbers(model):
    return sum(t.numel() for t in (*model.parameters(), *model.buffers()))


def on_meta(make):
    with torch.device("meta"):
        return make()


# -- activations ---------------------------------------------------------------------------------


@pytest.mark.parametrize("num_points", [20_000, 40_000])
def test_lhms_activations_are_covered(num_points):
    tokens = [torch.Size((1, n, 1536)) for n in (4096, 1024)]

    def call(net):
        net(
            torch.empty(1, num_points, 1024),
            *(torch.empty(t) for t in tokens),
            torch.empty(1, 2048),
        )

    config = LHMConfig(layers=2, points=num_points)  # more layers take no more at a time
    measured = peak_bytes(lambda: LHM(config).transformer, call)
    assert measured < num_points * memory.LHM_BYTES_PER_POINT < 1.1 * measured
    for encoder, side in ((SAPIENS_1B, 1024), (DINOV2_L, 448)):
        before = peak_bytes(
            lambda e=encoder: VisionTransformer(replace(e, depth=2)),
            lambda net, px=side: net(torch.empty(1, 3, px, px)),
        )
        assert before < measured / 2


def test_multihmrs_activations_are_covered():
    config = MultiHMRConfig()
    measured = peak_bytes(
        lambda: VisionTransformer(replace(config.vit, depth=2)),
        lambda net: net(torch.empty(1, 3, config.size_px, config.size_px)),
    )
    assert measured < memory.POSE_GB * GB < 1.1 * measured


def test_activations_of_a_picture_are_covered():
    """FLUX.1's transformer at 1280 x 768; its VAE takes more, but less than both together."""
    half = {"dtype": torch.bfloat16}
    tokens = 1280 * 768 // 16**2

    def call(net):
        net(
            hidden_states=torch.empty(1, tokens, 64, **half),
            encoder_hidden_states=torch.empty(1, 512, 4096, **half),
            pooled_projections=torch.empty(1, 768, **half),
            timestep=torch.ones(1, **half),
            guidance=torch.ones(1, **half),
            img_ids=torch.zeros(tokens, 3),
            txt_ids=torch.zeros(512, 3),
        )

    def make():
        return diffusers.FluxTransformer2DModel(
            num_layers=1, num_single_layers=1, guidance_embeds=True
        )

    measured = peak_bytes(make, call, torch.bfloat16)
    assert measured < memory.IMAGE_GB * GB < 1.1 * measured


# -- weights -------------------------------------------------------------------------------------


def test_published_numbers_are_those_of_the_real_classes():
    def largest_and_all(transformer, *encoders):
        sizes = [
            numbers(on_meta(make)) for make in (transformer, *encoders, diffusers.AutoencoderKL)
        ]
        return max(sizes), sum(sizes)

    t5 = T5Config(
        d_model=4096,
        d_kv=64,
        d_ff=10240,
        num_layers=24,
        num_heads=64,
        vocab_size=32128,
        feed_forward_proj="gated-gelu",
    )
    qwen = Qwen3Config(
        vocab_size=151936,
        hidden_size=2560,
        intermediate_size=9728,
        num_hidden_layers=36,
        num_attention_heads=32,
        num_key_value_heads=8,
        head_dim=128,
    )
    counted = {
        "flux.1-dev": largest_and_all(
            lambda: diffusers.FluxTransformer2DModel(guidance_embeds=True),
            lambda: T5EncoderModel(t5),
        ),
        "z-image-turbo": largest_and_all(
            diffusers.ZImageTransformer2DModel, lambda: Qwen3Model(qwen)
        ),
    }
    for name, found in counted.items():  # CLIP and the VAE's real size are within the margin
        assert found == pytest.approx(memory.IMAGE_NUMBERS[name], rel=0.02)
    assert counted["flux.1-dev"][0] == pytest.approx(
        memory.IMAGE_NUMBERS["flux.1-dev"][0], rel=1e-3
    )
    klein = WEIGHTS["flux.2-klein-4b"].bytes / 2
    assert klein == pytest.approx(memory.IMAGE_NUMBERS["flux.2-klein-4b"][1], rel=0.02)
    assert set(memory.IMAGE_NUMBERS) == {names[0] for names in SETS["images"]}


def test_the_size_of_a_download_never_promises_too_little():
    """Without the files the need follows from the download, which also holds unused tensors."""
    sapiens = numbers(on_meta(lambda: VisionTransformer(SAPIENS_1B)))
    head = numbers(on_meta(lambda: VisionTransformer(DINOV2_L)))
    multihmr = numbers(on_meta(lambda: MultiHMR(MultiHMRConfig())))
    assert multihmr < count("multi-hmr") < 1.1 * multihmr
    assert sapiens < count("sapiens-1b") < 1.1 * sapiens
    for name in ("LHM-MINI", "LHM-500M", "LHM-1B"):
        used = head + numbers(on_meta(lambda n=name: LHM(RELEASED[n])))
        assert used < count(name.lower()) < used + 0.4e9  # the skinning grid has 0.2e9


def test_lhm_1b_in_half_precision_wants_some_7_gb(weights):
    """The doctor used to say 18: LHM's README, for a program that does not free its parts."""
    head, sapiens = (on_meta(lambda c=c: VisionTransformer(c)) for c in (DINOV2_L, SAPIENS_1B))
    net = on_meta(lambda: LHM(RELEASED["LHM-1B"]))
    total = numbers(head) + numbers(sapiens) + numbers(net)
    by_count = memory._network(2 * total / GB, 0.5 * 2.48, main_gb=0).gpu_gb
    assert by_count == pytest.approx(7.4, abs=0.1)
    need = memory.stage_need("coarse", ("lhm-1b", "lhm-points-40k", "sapiens-1b"))
    assert by_count < need.gpu_gb < by_count + 0.9
    assert "bfloat16" in need.runs(12.0) and need.runs(24.0).startswith("in float32")


def test_files_are_counted_without_the_tensors_that_are_never_read(weights):
    folder = weights / "lhm-mini"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    state = {
        "encoder.model.norm.weight": torch.zeros(7),
        "transformer.norm.weight": torch.zeros(5, 3),
        "renderer.smplx_model.voxel_ws": torch.zeros(100),
        "id_face_net.weight": torch.zeros(50),
    }
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    loaded = read_tensors(folder / "model.safetensors")
    assert (
        count("lhm-mini", skip=memory.LHM_UNUSED) == 22 == sum(t.numel() for t in loaded.values())
    )
    assert count("lhm-mini") == 172 and count("lhm-mini", skip=re.compile("encoder")) == 165


def test_a_pipeline_needs_its_largest_part(weights):
    folder = weights / "flux.1-dev"
    sizes = {"transformer": 30, "text_encoder": 50, "vae": 10}
    for part, size in sizes.items():
        (folder / part).mkdir(parents=True)
        for shard in range(2):
            save_file({"w": torch.zeros(size)}, folder / part / f"{shard}.safetensors")
    (folder / "model_index.json").write_text("{}")
    assert count_parts("flux.1-dev") == {"transformer": 60, "text_encoder": 100, "vae": 20}
    need = memory.stage_need("images", ("flux.1-dev",))
    assert need.gpu_gb == pytest.approx(
        2 * 100 / GB + wan_memory.SLACK * memory.IMAGE_GB + wan_memory.RESERVED_GB
    )
    assert need.main_gb == 2 * 180 / GB


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 64, b"\x02\0\0\0\0\0\0\0[]"])
def test_a_damaged_header_counts_by_size(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    assert read_shapes(path) is None


def test_flux_is_not_ready_on_17_gb():
    assert memory.stage_need("images", ("flux.1-dev",)).gpu_gb > 24
    assert memory.stage_need("images", ("flux.2-klein-4b",)).gpu_gb < 12


# -- Wan -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_with_the_least_memory_a_plan_fits_and_with_less_none(name):
    weight = MODELS[name].weight.name
    need = memory.stage_need("prior", (weight,))
    assert need.runs(need.gpu_gb + 1e-6).startswith("transformer ")
    with pytest.raises(wan_memory.MissingCapabilityError, match=f"{need.gpu_gb:.1f} GB or more"):
        need.runs(need.gpu_gb - 0.01)


def test_a_stage_without_a_network_needs_nothing():
    assert memory.stage_need("body", ("smplx",)) is None
