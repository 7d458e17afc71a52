"""Our SDEdit under Wan2.1 against diffusers' own pipelines, on tiny random checkpoints."""

import dataclasses
import json
import logging
import math
import shutil
import sys
import weakref
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from toolkit.errors import InputError, MissingCapabilityError, MissingFileError
from toolkit.prior.orbit import static_orbit, turntable_cameras
from toolkit.prior.prior import Condition, Prior
from toolkit.prior.sdedit import SDEditConfig, sdedit
from toolkit.prior.wan import encoders, fake_tensors, files, memory
from toolkit.prior.wan.advice import ADVICE, SIZES
from toolkit.prior.wan.config import WanConfig
from toolkit.prior.wan.encoders import clean_text, embed_text
from toolkit.prior.wan.files import check_wan, find_wan, fingerprint
from toolkit.prior.wan.model import WanPrior
from toolkit.prior.wan.published import MODELS
from toolkit.prior.wan.tiny import write_tiny_wan
from toolkit.refine.edit import refine_clip
from toolkit.refine.turntable import Turntable

diffusers = pytest.importorskip("diffusers")
PROMPT, NEGATIVE = "a full body photo of one person", "blurry, watermark"


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def rounding_bound(num_products, num_terms, largest):
    """How far two float32 results may lie apart if only the order of their sums differs.

    BLAS takes another kernel for another batch size, and which one depends on the CPU. Roundings
    of 2^-24 add up as a random walk does, so a dot product of k terms has a relative error of about
    sqrt(k) 2^-24, and n products in a row one of sqrt(n k) 2^-24. The factor of safety of 5 is for
    terms that cancel and for the operations between the products. Measured here with four sets of
    kernels (SSE to AVX-512) and 1 or 2 threads: at most a tenth of the bound.
    """
    return float(5 * math.sqrt(num_products * num_terms) * 2**-24 * largest)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tiny networks: threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Tiny checkpoints, saved as the hub stores the real ones."""
    root = tmp_path_factory.mktemp("wan")
    return {kind: write_tiny_wan(root / kind, kind, seed=3) for kind in ("t2v", "i2v")}


def load(folder, **changes):
    settings = {
        "prompt": PROMPT,
        "negative_prompt": NEGATIVE,
        "device": "cpu",
        "dtype": torch.float32,
    } | changes
    return WanPrior.load(WanConfig(folder, **settings))


@pytest.fixture(scope="module")
def prior(folders):
    return load(folders["t2v"])


@pytest.fixture(scope="module")
def i2v(folders):
    return load(folders["i2v"])


def euler(pipeline_class, folder, shift=3.0):
    pipeline = pipeline_class.from_pretrained(
        folder, scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=shift)
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module")
def pipeline(folders):
    return euler(diffusers.WanVideoToVideoPipeline, folders["t2v"])


@pytest.fixture(scope="module")
def video():
    """Five smooth frames in [0, 1] on white."""
    ramp = torch.linspace(0, 1, 32)
    picture = torch.stack(
        [ramp[:, None].expand(32, 48), torch.linspace(0, 1, 48).expand(32, 48), torch.ones(32, 48)]
    )
    return torch.stack([picture.roll(4 * k, -1) for k in range(5)])  # F C H W


def as_clip(video):
    return 2 * video.permute(1, 0, 2, 3)[None] - 1


def reference(pipeline, prior, video, seed=1, **call):
    return pipeline(
        video=video,
        prompt_embeds=prior.base.text,
        height=32,
        width=48,
        negative_prompt_embeds=prior.base.negative,
        generator=seeded(seed),
        **{"guidance_scale": 5.0, "output_type": "latent"} | call,
    ).frames


# -- equal to diffusers --------------------------------------------------------------------------


@pytest.mark.parametrize("strength,steps", [(0.2, 10), (0.8, 10), (1.0, 5)])
def test_our_loop_equals_diffusers_video_to_video(pipeline, prior, video, strength, steps):
    theirs = reference(pipeline, prior, video, strength=strength, num_inference_steps=steps)
    ours = sdedit(
        prior.velocity,
        prior.to_latents(as_clip(video)),
        prior.base,
        generator=seeded(1),
        config=SDEditConfig(strength, steps, prior.shift),
    )
    assert theirs.std() > 0.1
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_decoded_frames_equal_diffusers(pipeline, prior, video):
    theirs = reference(
        pipeline, prior, video, strength=0.8, num_inference_steps=5, output_type="pt"
    )
    x = sdedit(
        prior.velocity,
        prior.to_latents(as_clip(video)),
        prior.base,
        generator=seeded(1),
        config=SDEditConfig(0.8, 5, prior.shift),
    )
    ours = (prior.to_clip(x)[0].permute(1, 0, 2, 3) + 1) / 2
    assert torch.allclose(ours, theirs[0], atol=1e-5)
    assert theirs.std() > 0.01


def test_without_guidance_the_negative_prompt_is_not_asked(pipeline, prior, video):
    theirs = reference(
        pipeline, prior, video, strength=0.5, num_inference_steps=4, guidance_scale=1.0
    )
    plain = dataclasses.replace(prior.base, negative=None)
    ours = sdedit(
        prior.velocity,
        prior.to_latents(as_clip(video)),
        plain,
        generator=seeded(1),
        config=SDEditConfig(0.5, 4, 3.0),
    )
    assert torch.allclose(ours, theirs, atol=1e-5)
    guided = reference(pipeline, prior, video, strength=0.5, num_inference_steps=4)
    assert (guided - theirs).abs().max() > 1e-2  # prompts and guidance matter in the tiny model


def test_image_to_video_equals_diffusers_from_pure_noise(folders, i2v):
    from PIL import Image

    pipeline = euler(diffusers.WanImageToVideoPipeline, folders["i2v"])
    picture = Image.effect_mandelbrot((48, 32), (-2, -1, 1, 1), 40).convert("RGB")
    theirs = pipeline(
        image=picture,
        height=32,
        width=48,
        num_frames=5,
        num_inference_steps=4,
        prompt_embeds=i2v.base.text,
        negative_prompt_embeds=i2v.base.negative,
        guidance_scale=5.0,
        generator=seeded(2),
        output_type="latent",
    ).frames
    pixels = torch.tensor(list(picture.tobytes())).reshape(32, 48, 3).permute(2, 0, 1) / 127.5 - 1
    told = Condition(torch.zeros(5), torch.zeros(5), reference=pixels[None])
    ours = sdedit(
        i2v.velocity,
        torch.zeros_like(theirs),
        i2v.condition(told),
        config=SDEditConfig(1.0, 4, 3.0),
        generator=seeded(2),
    )
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_image_to_video_runs_sdedit_of_a_coarse_clip(i2v, video):
    clip = as_clip(video)
    told = Condition(torch.zeros(5), torch.zeros(5), reference=clip[:, :, 0], coarse=clip)
    config = SDEditConfig(0.4, 5, 3.0)

    def run(condition):
        return sdedit(
            i2v.velocity, i2v.to_latents(clip), condition, config=config, generator=seeded()
        )

    with_front = run(i2v.condition(told))
    other = dataclasses.replace(told, reference=clip[:, :, 2])
    assert with_front.shape == (1, 16, 2, 4, 6)
    assert (with_front - run(i2v.condition(other))).abs().max() > 1e-4  # it looks at the picture


def test_prompts_are_embedded_as_diffusers_does(pipeline, folders, monkeypatch):
    module = sys.modules[diffusers.WanVideoToVideoPipeline.__module__]
    if not hasattr(module, "ftfy"):  # prompts then die with a NameError in diffusers 0.42
        monkeypatch.setattr(module, "ftfy", SimpleNamespace(fix_text=lambda t: t), raising=False)
    texts = ["  a person &amp; a\n plain  background ", NEGATIVE]
    theirs, negative = pipeline.encode_prompt(texts[0], texts[1], max_sequence_length=512)
    ours = embed_text(folders["t2v"], texts)
    # UMT5 reads both texts as one batch, diffusers gives it one by one: 12 products in a row, of up
    # to 37 terms.
    bound = rounding_bound(12, 37, largest=ours.abs().max())
    assert (ours[:1] - theirs).abs().max() < bound
    assert (ours[1:] - negative).abs().max() < bound
    assert (ours[:1] - negative).abs().max() > 1e4 * bound  # so swapped texts are noticed
    assert ours[0].abs().sum(1).gt(0).sum() < 100 and theirs.abs().max() > 0.1


def test_text_encoder_is_freed_after_its_one_use(folders, monkeypatch):
    made = []

    def recorded(*args, **kwargs):
        model = files.read_part(*args, **kwargs)
        made.append(weakref.ref(model))
        return model

    monkeypatch.setattr(encoders, "read_part", recorded)
    embedded = embed_text(folders["t2v"], [PROMPT])
    assert embedded.shape == (1, 512, 32) and len(made) == 1 and made[0]() is None


def test_the_tiny_text_encoder_is_saved_as_the_published_one(folders):
    """UMT5's config denies the tie, and the file holds one table for both (transformers 5.2.0)."""
    folder = folders["t2v"] / "text_encoder"
    keys = load_file(folder / "model.safetensors")
    tables = [key for key in keys if "shared" in key or "embed_tokens" in key]
    assert tables == ["shared.weight"]
    assert json.loads((folder / "config.json").read_text())["tie_word_embeddings"] is False


def test_a_library_that_leaves_the_table_of_tokens_empty_is_refused(folders, monkeypatch):
    def as_in_5_2(*args, **kwargs):
        model = files.read_part(*args, **kwargs)
        empty = torch.zeros_like(model.shared.weight)
        model.encoder.embed_tokens.weight = torch.nn.Parameter(empty, requires_grad=False)
        return model

    monkeypatch.setattr(encoders, "read_part", as_in_5_2)
    with pytest.raises(MissingCapabilityError, match="did not fill.*transformers>=5.3"):
        embed_text(folders["t2v"], [PROMPT])


# -- silent traps of the pipelines, and our answers ----------------------------------------------


def test_trap_frames_are_dropped(pipeline, prior, video):
    eight = torch.cat([video, video[:3]])
    kept = reference(pipeline, prior, eight, strength=0.5, num_inference_steps=2, output_type="pt")
    assert kept.shape[1] == 5  # diffusers: 3 of 8 are gone, without a word
    with pytest.raises(InputError, match="8 frames"):
        prior.to_latents(as_clip(eight))


def test_trap_odd_sizes_and_ranges(prior):
    for clip in (
        torch.zeros(1, 3, 5, 40, 48),
        torch.zeros(1, 3, 5, 32, 24),
        torch.zeros(0, 3, 5, 32, 32),
        torch.full((1, 3, 5, 32, 32), 255.0),
    ):
        with pytest.raises(InputError, match="wanted"):
            prior.to_latents(clip)


def test_trap_a_strength_too_small_returns_an_empty_batch(pipeline, prior, video):
    with pytest.raises(InputError, match="at least one step"):
        sdedit(
            prior.velocity,
            prior.to_latents(as_clip(video)),
            prior.base,
            config=SDEditConfig(0.05, 10),
        )
    nothing = reference(pipeline, prior, video, strength=0.05, num_inference_steps=10)
    assert len(nothing) == 0


def test_trap_strength_above_one_is_taken_for_one(pipeline, prior, video):
    runs = [reference(pipeline, prior, video, strength=s, num_inference_steps=2) for s in (1, 1.5)]
    assert torch.equal(*runs)
    with pytest.raises(InputError, match="strength"):
        sdedit(prior.velocity, torch.zeros(1, 16, 2, 4, 6), prior.base, config=SDEditConfig(1.5))


def test_trap_given_latents_are_not_noised(pipeline, prior, video):
    x0 = prior.to_latents(as_clip(video))
    theirs = pipeline(
        latents=x0,
        prompt_embeds=prior.base.text,
        height=32,
        width=48,
        negative_prompt_embeds=prior.base.negative,
        strength=0.75,
        num_inference_steps=4,
        output_type="latent",
        generator=seeded(1),
    ).frames
    ours = sdedit(
        prior.velocity, x0, prior.base, config=SDEditConfig(0.75, 4, 3.0), generator=seeded(1)
    )
    assert (theirs - ours).abs().max() > 0.1
    assert theirs.shape == ours.shape  # nothing would have told


def turntable(views, size):
    orbit = static_orbit(views)
    rgb = torch.rand(views, *size, 3, generator=seeded(9))
    return Turntable(
        orbit,
        turntable_cameras(orbit, size=size),
        rgb,
        torch.ones(views, *size, 1),
        torch.zeros(views, *size, 1),
    )


@pytest.mark.parametrize("kind", ["t2v", "i2v"])
def test_trap_stretching(prior, i2v, kind):
    """Any size and any number of views go through `refine_clip` and come back as they were."""
    chosen = prior if kind == "t2v" else i2v
    assert isinstance(chosen, Prior) and chosen.close_loop
    clip, sizes = turntable(6, (40, 24)), []
    encode = chosen.to_latents
    chosen.to_latents = lambda clip: sizes.append(tuple(clip.shape)) or encode(clip)
    try:
        refined = refine_clip(chosen, clip, SDEditConfig(0.5, 2, 3.0), generator=seeded())
    finally:
        del chosen.to_latents
    assert refined.shape == clip.rgb.shape and refined.isfinite().all()
    assert set(sizes) == {(1, 3, 9, 48, 32)}  # six views, the first again, two more; 48 x 32


def test_trap_turning_the_scheduler_into_euler_loses_the_shift(folders, prior):
    logging.disable(logging.WARNING)
    unipc = diffusers.UniPCMultistepScheduler.from_pretrained(folders["t2v"] / "scheduler")
    converted = diffusers.FlowMatchEulerDiscreteScheduler.from_config(unipc.config)
    logging.disable(logging.NOTSET)
    assert unipc.config.flow_shift == 3.0 and converted.shift == 1.0
    assert prior.shift == 3.0


def test_trap_text_longer_than_the_encoder_reads(folders):
    with pytest.raises(InputError, match="at most 512"):
        embed_text(folders["t2v"], ["person " * 600])


def test_text_beyond_ascii_needs_ftfy(monkeypatch):
    assert clean_text(" a &lt;b&gt;\n c ") == "a <b> c"
    monkeypatch.setitem(sys.modules, "ftfy", None)
    with pytest.raises(MissingCapabilityError, match="ftfy"):
        clean_text("caf\u00e9")


# -- loading -------------------------------------------------------------------------------------


def changed(folders, tmp_path, file, kind="t2v", **changes):
    copy = tmp_path / "copy"
    shutil.copytree(folders[kind], copy)
    path = copy / file
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return copy


@pytest.mark.parametrize(
    "file,changes",
    [
        ("model_index.json", {"transformer_2": ["diffusers", "WanTransformer3DModel"]}),
        ("model_index.json", {"expand_timesteps": True}),
        ("transformer/config.json", {"_class_name": "WanVACETransformer3DModel"}),
        ("transformer/config.json", {"in_channels": 48}),
        ("vae/config.json", {"z_dim": 48}),
        ("vae/config.json", {"patch_size": 2}),
        ("scheduler/scheduler_config.json", {"flow_shift": None, "shift": None}),
    ],
)
def test_relatives_of_wan21_are_refused(folders, tmp_path, file, changes):
    with pytest.raises(InputError, match="wanted"):
        check_wan(changed(folders, tmp_path, file, **changes))


def test_what_a_folder_says(folders, tmp_path):
    facts = check_wan(folders["t2v"])
    assert (facts["kind"], facts["shift"], facts["image_encoder"]) == ("t2v", 3.0, None)
    assert check_wan(folders["i2v"])["image_encoder"] == "CLIPVisionModelWithProjection"
    first = fingerprint(folders["t2v"])
    other = write_tiny_wan(tmp_path / "other", seed=4)
    assert first == fingerprint(folders["t2v"]) != fingerprint(other)
    prompts = {load(folders["t2v"], prompt=p).fingerprint for p in ("a coat", "a coat", "a hat")}
    assert len(prompts) == 2 and all(first in text for text in prompts)


@pytest.mark.parametrize(
    "name, shift, guidance",
    [("t2v-1.3b", 8.0, 6.0), ("t2v-14b", 5.0, 5.0), ("i2v-14b-480p", 3.0, 5.0)],
)
def test_shift_and_guidance_are_the_authors_and_not_the_schedulers_file(
    folders, tmp_path, name, shift, guidance
):
    sizes = {key: MODELS[name].transformer[key] for key in SIZES}
    folder = changed(folders, tmp_path, "transformer/config.json", **sizes)
    facts = check_wan(folder)
    assert facts["shift"] == 3.0  # what every published folder says
    assert (facts["advice"].shift, facts["advice"].guidance_scale) == (shift, guidance)
    assert "github.com/Wan-Video/Wan2.1" in str(facts["advice"])


def test_a_network_of_another_size_takes_the_schedulers_file(folders, tmp_path):
    folder = changed(folders, tmp_path, "scheduler/scheduler_config.json", flow_shift=4.0)
    advice = check_wan(folder)["advice"]
    assert advice.shift == 4.0 and "not a published size" in str(advice)
    assert set(ADVICE) == set(MODELS)


def test_guidance_is_the_advised_one_unless_it_is_given(folders, monkeypatch):
    advised = dataclasses.replace(ADVICE["t2v-1.3b"], shift=7.0)
    monkeypatch.setattr(files, "advice_for", lambda transformer, file_shift: advised)
    prior = load(folders["t2v"])
    assert (prior.shift, prior.base.guidance_scale) == (7.0, 6.0)
    given = load(folders["t2v"], guidance_scale=1.0)
    assert given.base.guidance_scale == 1 and given.base.negative is None
    assert given.fingerprint != prior.fingerprint


def test_missing_checkpoints_name_the_command_that_fetches_them(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("TOOLKIT_WEIGHTS", str(tmp_path))
    known = MODELS["t2v-1.3b"].weight
    with pytest.raises(
        MissingFileError, match=f"hf download {known.source} --revision {known.revision}"
    ):
        find_wan("t2v-1.3b")
    with pytest.raises(InputError, match="revision"):
        find_wan("someone/else")
    with pytest.raises(MissingFileError, match="model_index.json"):
        check_wan(tmp_path)


def test_a_checkpoint_is_found_where_the_doctor_says(folders, tmp_path, monkeypatch):
    monkeypatch.setenv("TOOLKIT_WEIGHTS", str(tmp_path))
    copy = shutil.copytree(folders["t2v"], tmp_path / MODELS["t2v-1.3b"].weight.name)
    assert find_wan("t2v-1.3b") == find_wan("Wan-AI/Wan2.1-T2V-1.3B-Diffusers") == copy


def test_missing_weights_are_named(folders, tmp_path):
    copy = shutil.copytree(folders["t2v"], tmp_path / "copy")
    (copy / "vae/diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(MissingFileError, match="vae"):
        load(copy)


def test_trap_incomplete_weights_are_filled_with_random_ones(folders, tmp_path):
    copy = shutil.copytree(folders["t2v"], tmp_path / "copy")
    path = copy / "transformer/diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    del weights["proj_out.weight"]
    save_file(weights, path)
    with pytest.raises(InputError, match="proj_out.weight"):
        load(copy)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(MissingFileError, match="cut short"):
        load(copy)


def test_bad_settings_are_refused(folders):
    for changes in ({"dtype": torch.float16}, {"guidance_scale": 0.5}, {"clip": (20, 832, 480)}):
        with pytest.raises(InputError, match="wanted"):
            load(folders["t2v"], **changes)
    if not torch.cuda.is_available():
        with pytest.raises(MissingCapabilityError, match="embedded"):
            load(folders["t2v"], device="cuda")


def test_bfloat16_keeps_what_must_stay_float32(folders, video):
    prior = load(folders["t2v"], dtype=torch.bfloat16)
    block = prior.transformer.blocks[0]
    assert block.attn1.to_q.weight.dtype == torch.bfloat16
    assert block.scale_shift_table.dtype == torch.float32
    assert next(prior.vae.parameters()).dtype == torch.float32
    v = prior.velocity(prior.to_latents(as_clip(video)), 0.5, prior.base)
    assert v.dtype == torch.float32 and v.isfinite().all()


def test_a_batch_is_its_clips_one_by_one(prior, video):
    clips = torch.cat([as_clip(video), as_clip(video.flip(0))])
    x = prior.to_latents(clips)
    together = prior.velocity(x, torch.tensor(0.7), prior.base)
    apart = torch.cat([prior.velocity(one, 0.7, prior.base) for one in x.split(1)])
    # About 25 products of up to 48 terms in a row; then guidance: v = 5 v_text - 4 v_negative.
    bound = rounding_bound(25, 48, largest=apart.abs().max() * math.hypot(5, 4))
    assert (together - apart).abs().max() < bound
    swapped = (together - apart.flip(0)).abs()
    assert swapped.mean() > 30 * bound  # so clips that are mixed up do not go unnoticed
    # The VAE decodes clip by clip, so here the shapes of all products are the same.
    assert torch.allclose(prior.to_clip(x)[:1], prior.to_clip(x[:1]), atol=1e-6)


@pytest.mark.parametrize("where", ["swapped", "streamed"])
def test_offloading_changes_no_value(folders, prior, video, where, monkeypatch):
    monkeypatch.setattr(memory, "LADDER", [(where, True)])
    lean = load(folders["t2v"])
    assert lean.plan.transformer == where and lean.vae.use_tiling
    x = lean.to_latents(as_clip(video))
    assert torch.equal(x, prior.to_latents(as_clip(video)))  # smaller than one tile
    assert torch.equal(lean.velocity(x, 0.5, lean.base), prior.velocity(x, 0.5, prior.base))
    assert torch.equal(lean.to_clip(x), prior.to_clip(x))


class PartOnGpu(torch.nn.Module):
    """Moved to "cuda" it says "cuda:0", as every module does."""

    def __init__(self):
        super().__init__()
        self.device, self.moves = torch.device("cpu"), []

    def to(self, device):
        self.moves.append(str(device))
        self.device = torch.device("cuda:0" if str(device) == "cuda" else device)


def test_a_swapped_plan_moves_a_part_once_and_not_at_every_step():
    plan = memory.Plan("swapped", False, False, 8.0, 7.0, (0.0, 7.0, 6.0))
    transformer, vae = PartOnGpu(), PartOnGpu()
    prior = WanPrior(transformer, vae, None, plan, device="cuda")
    for part in (vae, vae, *[transformer] * 5, vae):  # encode, five steps, decode
        prior._bring(part)
    assert vae.moves == ["cuda", "cpu", "cuda"] and transformer.moves == ["cpu", "cuda", "cpu"]


# -- memory --------------------------------------------------------------------------------------


def count(model):
    return sum(p.numel() for p in model.parameters())


def test_parameter_counts_are_those_of_the_real_classes():
    parts = fake_tensors.meta_models(MODELS["t2v-1.3b"].transformer)
    assert count(parts["VAE"]) == pytest.approx(memory.VAE_PARAMETERS, rel=0.01)
    assert count(parts["text encoder"]) == pytest.approx(memory.TEXT_PARAMETERS, rel=0.01)
    for model in MODELS.values():
        with torch.device("meta"):
            real = diffusers.WanTransformer3DModel(**model.transformer)
        assert memory.transformer_parameters(model.transformer) == count(real)


def test_peak_of_a_chain_is_three_tensors():
    class Chain(torch.nn.Module):
        def forward(self, x):
            for _ in range(5):
                x = x + 1
            return x

    peak = fake_tensors.peak_bytes(Chain, lambda m: m(torch.empty(1000)))
    assert peak == 3 * 4000  # the caller's, the last and the next one


@pytest.mark.parametrize("name", ["t2v-1.3b", "t2v-14b", "i2v-14b-480p"])
def test_activation_formula_covers_the_real_transformer(name):
    config = MODELS[name].transformer | {"num_layers": 1}
    t, h, w = 3, 60, 104

    def call(model):
        bf16 = {"dtype": torch.bfloat16}
        image = torch.empty(1, 257, 1280, **bf16) if "image_dim" in config else None
        model(
            torch.empty(1, config["in_channels"], t, h, w, **bf16),
            timestep=torch.ones(1),
            encoder_hidden_states=torch.empty(1, 512, 4096, **bf16),
            encoder_hidden_states_image=image,
        )

    measured = fake_tensors.peak_bytes(
        lambda: diffusers.WanTransformer3DModel(**config), call, torch.bfloat16
    )
    estimated = memory.activation_bytes(config, t * h * w // 4, torch.bfloat16)
    assert measured < estimated < 1.3 * measured


def test_decoder_formula_covers_the_real_vae():
    measured = fake_tensors.peak_bytes(
        diffusers.AutoencoderKLWan, lambda vae: vae.decode(torch.empty(1, 16, 3, 20, 20))
    )
    assert measured < memory.DECODE_BYTES_PER_PIXEL * 160**2 < 1.1 * measured


def test_plans_of_the_usual_cards():
    small, large = (MODELS[name].transformer for name in ("t2v-1.3b", "t2v-14b"))
    clip = (21, 832, 480)
    plans = [memory.choose_plan(gb, small, clip) for gb in memory.PRESETS_GB]
    assert [p.transformer for p in plans] == ["resident"] * 5
    assert [p.tiled_vae for p in plans] == [True, False, False, False, False]
    assert [p.text_on_gpu for p in plans] == [False, True, True, True, True]
    plans = [memory.choose_plan(gb, large, clip) for gb in memory.PRESETS_GB]
    assert [p.transformer for p in plans] == ["streamed"] * 3 + ["resident"] * 2
    assert all(p.peak_gb <= p.memory_gb for p in plans)
    assert "streamed" in str(plans[0]) and "of 8.0 GB" in str(plans[0])


def test_more_memory_never_gives_a_slower_plan():
    config = MODELS["t2v-14b"].transformer
    rungs = []
    for gb in range(12, 100, 4):
        plan = memory.choose_plan(gb, config, (81, 832, 480))
        rungs.append(memory.LADDER.index((plan.transformer, plan.tiled_vae)))
    assert rungs == sorted(rungs, reverse=True) and rungs[0] > rungs[-1] == 0


def test_a_clip_too_large_for_the_card_is_refused():
    with pytest.raises(MissingCapabilityError, match="GB or more"):
        memory.choose_plan(8, MODELS["t2v-14b"].transformer, (121, 1280, 720))
