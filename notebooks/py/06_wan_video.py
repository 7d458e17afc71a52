# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Wan2.1, layer by layer
#
# photo → body → coarse Gaussians → turntable → **SDEdit under a video model** → refit
#
# The paper's video prior is Wan2.1. It has three parts: a VAE, a diffusion transformer and a text
# encoder. This notebook takes them apart on *tiny random instances of the real classes*, counts the
# real ones on the meta device, and runs our own SDEdit loop on them. It takes about a minute on a
# CPU and downloads nothing. With `profile = "full"` and a GPU, the last part uses the published
# weights.

# %% [markdown]
# **You will learn**
# - how a clip becomes tokens;
# - what one transformer block does;
# - why strength is not the same as noise;
# - which mistakes diffusers makes without telling you;
# - what fits on which card.
#
# The tiny networks are random, so their *pictures are noise*. Shapes, dependencies, schedules and
# sizes are those of the real model.

# %% tags=["parameters"]
out_dir = "../runs/wan"  # where the tiny checkpoint is written
profile = "embedded"  # tiny random weights; "full": published ones in the last part, on a GPU
seed = 0  # of the weights, the person and the noise
fast = False  # fewer views and sizes, for tests

# %%
from dataclasses import replace
from pathlib import Path

import diffusers
import numpy as np
import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

from toolkit import refine, show
from toolkit.body import a_pose
from toolkit.people import render_person, sample_person
from toolkit.prior import sdedit, static_orbit, turntable_cameras, wan
from toolkit.profiles import check_full_run, find_device
from toolkit.weights import choose, label

for package in (diffusers, transformers):
    package.utils.logging.set_verbosity_error()
    package.utils.logging.disable_progress_bar()
torch.set_grad_enabled(False)
folder = wan.write_tiny_wan(Path(out_dir) / "tiny-t2v", seed=seed)
for file in sorted(folder.rglob("*.safetensors")):
    print(f"{file.relative_to(folder)}  {file.stat().st_size / 1e3:.0f} kB")

# %% [markdown]
# ## Three parts, and the largest one only reads the prompt
# A checkpoint folder contains a **VAE** (pixels ↔ latents), a **transformer** (which denoises
# latents) and a **text encoder** (UMT5-XXL). Their published configurations are in
# `toolkit.prior.wan.MODELS`. On the meta device a model has shapes but no memory, so we can count
# the real ones here. **Guess:** which part of T2V-1.3B is the largest?


# %% tags=["nbval-check-output"]
def millions(model):
    return sum(p.numel() for p in model.parameters()) / 1e6


print(f"{'':14}{'transformer':>12}{'VAE':>8}{'text':>8} M   bf16 GB   on the hub GB")
for name, model in wan.MODELS.items():
    parts = wan.meta_models(model.transformer)
    sizes = [millions(parts[key]) for key in ("transformer", "VAE", "text encoder")]
    print(
        f"{name:14}{sizes[0]:12,.0f}{sizes[1]:8,.0f}{sizes[2]:8,.0f}"
        f"{sum(sizes) * 2 / 1e3:12.1f}{model.weight.bytes / 1e9:14.1f}"
    )

# %% [markdown]
# The text encoder of the "1.3B" model is much larger than its transformer, but it is needed only
# once per prompt. So `WanPrior.load` embeds the prompts, frees the text encoder, and only then
# loads the rest. (The hub stores float32. I2V also has a CLIP image encoder, which is not counted
# here.)

# %% [markdown]
# ## The VAE: $4 \times 8 \times 8$ pixels become one cell
# A clip of $T = 4k+1$ frames becomes $k+1$ latent frames: the first frame has one to itself, then
# each group of four frames has one. The sides shrink by 8. The transformer then joins $2 \times 2$
# cells into a token, so the sides must be multiples of 16.
#
# A turntable that does not fit is **padded** with white, and never stretched. In time, it goes on
# turning until it has $4k+1$ frames again.

# %%
views = 6 if fast else 13
orbit = static_orbit(views)
person = sample_person(seed + 3, split="test")


def make_turntable(size):
    """A procedural person; here, the photo has seen what faces the front camera."""
    cameras = turntable_cameras(orbit, size=size)
    drawn = render_person(person, cameras, pose=a_pose())
    return refine.Turntable(
        orbit, cameras, drawn.rgb, drawn.alpha, drawn.alpha * (drawn.normals[..., 2:] > 0.2)
    )


turntable = make_turntable((200, 104))
grid = wan.LatentGrid(views, 200, 104, close_loop=True)
print(
    f"clip {views} x 200 x 104 -> on the grid {grid.padded} -> latents {grid.shape}"
    f" -> {grid.num_tokens} tokens; views {grid.views.tolist()}"
)
placed = grid.place(refine.as_clip(turntable.rgb))
squares = refine.as_frames(placed)[:: max(1, views // 4)][:5].clone()
squares[:, ::8], squares[:, :, ::8] = 0.85, 0.85  # cells
squares[:, ::16], squares[:, :, ::16] = 0.55, 0.55  # tokens
show.picture_row(*squares, height_px=330)

# %% [markdown]
# **The VAE is causal in time and local in space.** We change one frame and look which latent frames
# change; we change one spot and look which cells change. This pattern belongs to the architecture,
# so a random VAE shows it, too.

# %%
vae = diffusers.AutoencoderKLWan.from_pretrained(folder / "vae").eval()
clip = placed[:1, :, :9, :64, :64].clone()
base = vae.encode(clip).latent_dist.mode()
change = np.zeros((base.shape[2], 9))
for frame in range(9):
    other = clip.clone()
    other[:, :, frame] += 0.1 * torch.randn(64, 64, generator=torch.Generator().manual_seed(frame))
    change[:, frame] = (vae.encode(other).latent_dist.mode() - base).square().mean((0, 1, 3, 4))
spot = clip.clone()
spot[:, :, 0, 28:32, 28:32] -= 0.5
reach = (vae.encode(spot).latent_dist.mode() - base)[0, :, 0].square().mean(0).sqrt()

fig = show.figure(900, 300)
left, right = fig.subplots(1, 2, width_ratios=(1.7, 1))
left.imshow(np.log10(change + 1e-12), cmap="magma", vmin=-8, vmax=np.log10(change.max()))
left.set(xlabel="changed pixel frame", ylabel="latent frame", yticks=range(3), xticks=range(9))
left.set_title("change, log scale (black: exactly none)", fontsize=10)
right.imshow(reach.log10(), cmap="magma")
right.set_title("cells moved by one 4 x 4 px spot (log)", fontsize=10)
fig.tight_layout()
show.picture_row(show.figure_pixels(fig), height_px=300)

# %% [markdown]
# Latent frame $i$ depends on frames $0 \dots 4i$ and on nothing later: every square above the
# staircase is black, and none on it or below it is. In space, a spot changes the cells around it
# most and all others a little, because the middle block has attention over the whole picture.
#
# So a mask "keep what the photo saw" can be applied to latents only approximately.
# `LatentGrid.pool` keeps a cell only if **all** of its $4 \times 8 \times 8$ pixels are kept.
# **Guess:** how much of the mask is left?

# %%
keep = turntable.seen.permute(3, 0, 1, 2)[None].float()
pooled = grid.pool(keep)
shown = [
    keep[0, 0, 0],
    pooled[0, 0, 0].repeat_interleave(8, 0).repeat_interleave(8, 1),
    keep[0, 0, views // 4],
    pooled[0, 0, 1].repeat_interleave(8, 0).repeat_interleave(8, 1),
]
print(f"kept: {float(keep.mean()):.1%} of the pixels, {float(pooled.mean()):.1%} of the cells")
show.picture_row(*[one[..., None].expand(-1, -1, 3) for one in shown], height_px=260)

# %% [markdown]
# Left: the front view and its latent frame. Right: a side view and its latent frame, of which
# nothing is kept. The four frames of a latent frame span a wide angle here, and what is seen in one
# of them is hidden in another. So guidance by the photo needs many views when the prior works on
# latents.

# %% [markdown]
# ## The transformer
# **Where is a token?** Rotary embeddings rotate pairs of channels of query and key by an angle that
# grows with the position of the token. Of the 128 channels of a head, 44 belong to time, 42 to
# height and 42 to width. As a result, a product of query and key depends only on the *offset*
# $(\Delta t, \Delta h, \Delta w)$. The curves show $\frac{1}{n}\sum_j \cos(\Delta\,\theta_j)$ of
# the real embedding.

# %%
rope = diffusers.models.transformers.transformer_wan.WanRotaryPosEmbed(128, (1, 2, 2), 1024)
sizes = {"time": rope.t_dim, "height": rope.h_dim, "width": rope.w_dim}
cosines = rope.freqs_cos.split(list(sizes.values()), dim=1)
fig = show.figure(900, 260)
ax = fig.subplots()
for (axis, channels), table, color in zip(sizes.items(), cosines, show.STAGE_COLORS, strict=True):
    ax.plot(
        table[:60].mean(1),
        label=f"{axis}, {channels} channels",
        color=color,
        lw=2,
        ls="--" if axis == "width" else "-",
    )
ax.set(xlabel="offset in tokens", ylabel="similarity")
show.quiet_axes(ax)
ax.legend(frameon=False, fontsize=9)
fig.tight_layout()
show.picture_row(show.figure_pixels(fig), height_px=260)

# %% [markdown]
# **What does a block do?** It has self-attention over all tokens of all frames, cross-attention to
# the prompt, and a feed-forward net. The noise level enters by *adaptive layer norm*: the embedded
# time $1000\,\sigma$ and a learned table give six vectors per block, which are shift $\beta$, scale
# $\gamma$ and gate $\alpha$, twice:
#
# $$x \mathrel{+}= \alpha_1\,\mathrm{SA}\big((1+\gamma_1)\,\mathrm{LN}(x)+\beta_1\big),\qquad
# x \mathrel{+}= \mathrm{CA}(\mathrm{LN}(x), \mathrm{text}),\qquad
# x \mathrel{+}= \alpha_2\,\mathrm{FF}\big((1+\gamma_2)\,\mathrm{LN}(x)+\beta_2\big)$$
#
# Here it is in code, compared with the real class:

# %%
net = diffusers.WanTransformer3DModel.from_pretrained(folder / "transformer").eval()
block, latents = net.blocks[0], torch.randn(1, 16, 2, 6, 4)
text = torch.randn(1, 512, 32)


def run_block(block, x, text, six, rotary):
    shift1, scale1, gate1, shift2, scale2, gate2 = (block.scale_shift_table + six).chunk(6, dim=1)
    x = x + gate1 * block.attn1(block.norm1(x) * (1 + scale1) + shift1, None, None, rotary)
    x = x + block.attn2(block.norm2(x), text, None, None)
    return x + gate2 * block.ffn(block.norm3(x) * (1 + scale2) + shift2)


x = net.patch_embedding(latents).flatten(2).transpose(1, 2)
_, six, text, _ = net.condition_embedder(torch.tensor([700.0]), text)
rotary = net.rope(latents)
ours = run_block(block, x, text, six.unflatten(1, (6, -1)), rotary)
theirs = block(x, text, six.unflatten(1, (6, -1)), rotary)
print(
    f"{tuple(latents.shape)} latents -> {tuple(x.shape)} tokens; "
    f"block: largest difference {float((ours - theirs).abs().max()):.1e}"
)

# %% [markdown]
# **The prompt.** UMT5 gives one vector per token, followed by zeros up to 512. *Classifier-free
# guidance* asks the model twice per step, with the prompt and with a negative prompt, and then goes
# further in the same direction: $v = v_- + g\,(v_+ - v_-)$. This doubles the time.

# %%
config = wan.WanConfig(folder, device="cpu", dtype=torch.float32, guidance_scale=5.0)
prior = wan.WanPrior.load(config)
used = int(prior.base.text[0].abs().sum(-1).gt(0).sum())
print(f"prompt: {tuple(prior.base.text.shape)}, {used} positions used")
z0 = prior.to_latents(placed)
v_plus = prior.velocity(z0, 0.7, replace(prior.base, negative=None))
v_minus = prior.velocity(z0, 0.7, replace(prior.base, text=prior.base.negative, negative=None))
guided = v_minus + 5.0 * (v_plus - v_minus)
print(
    f"guidance moves v by {float((guided - v_plus).square().mean().sqrt()):.2f} (rms of v: "
    f"{float(v_plus.square().mean().sqrt()):.2f}); equal to prior.velocity: "
    f"{torch.allclose(guided, prior.velocity(z0, 0.7, prior.base), atol=1e-5)}"
)

# %% [markdown]
# ## SDEdit on latents, three times the same
# SDEdit starts from $z_\sigma = (1-\sigma) z_0 + \sigma\epsilon$ and makes Euler steps
# $z_{\sigma'} = z_\sigma + (\sigma'-\sigma)\,v$. The lines below, `toolkit.prior.sdedit` and
# diffusers' `WanVideoToVideoPipeline` (with the Euler scheduler) must agree.

# %%
strength, steps = 0.8, 5 if fast else 10
sigmas = sdedit.sigmas_for(steps, prior.shift)[sdedit.start_index(strength, steps) :]
noise = torch.randn(z0.shape, generator=torch.Generator().manual_seed(seed))
z = (1 - sigmas[0]) * z0 + sigmas[0] * noise
for now, following in zip(sigmas[:-1], sigmas[1:], strict=True):
    z = z + (following - now) * prior.velocity(z, now, prior.base)

ours = sdedit.sdedit(
    prior.velocity,
    z0,
    prior.base,
    config=sdedit.SDEditConfig(strength, steps, prior.shift),
    generator=torch.Generator().manual_seed(seed),
)
print(f"latents {tuple(z.shape)}, {len(sigmas) - 1} steps from sigma {float(sigmas[0]):.3f}")

# %%
pipeline = diffusers.WanVideoToVideoPipeline.from_pretrained(
    folder, scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=prior.shift)
)
pipeline.set_progress_bar_config(disable=True)
call = {
    "prompt_embeds": prior.base.text,
    "negative_prompt_embeds": prior.base.negative,
    "height": grid.padded[1],
    "width": grid.padded[2],
    "guidance_scale": 5.0,
    "strength": strength,
    "num_inference_steps": steps,
    "output_type": "latent",
}
theirs = pipeline(
    video=(placed[0].transpose(0, 1) + 1) / 2, generator=torch.Generator().manual_seed(seed), **call
).frames
difference = max(float((ours - z).abs().max()), float((ours - theirs).abs().max()))
print(f"largest difference between the three: {difference:.1e}")

# %% [markdown]
# **Strength is not noise.** Strength says which share of the steps is run. The *shift* then bends
# the schedule: $\sigma' = s\,\sigma / (1 + (s-1)\,\sigma)$. With the paper's 0.8, only a small part
# of the coarse clip's amplitude is left.
#
# The kinks at 0.58 are real: `int(50 * 0.58)` is 28, in diffusers and here. The grey band shows
# where the authors of SDEdit found that their method works ($t_0$ from 0.3 to 0.6 of a VP
# diffusion, converted to the flow $\sigma$ of equal signal-to-noise ratio).

# %%
fig = show.figure(900, 330)
ax = fig.subplots()
strengths = np.arange(1, 51) / 50
for shift, color in zip((1, 3, 5, 8), (show.FAINT, *show.STAGE_COLORS), strict=True):
    ax.plot(
        strengths,
        [sdedit.start_sigma(s, 50, shift) for s in strengths],
        color=color,
        lw=2,
        label=f"shift {shift}: {sdedit.start_sigma(0.8, 50, shift):.3f} at 0.8",
    )
ax.axhspan(0.55, 0.86, color="#d9d6cf", alpha=0.6, lw=0)
ax.axvline(0.8, color=show.INK, lw=1, ls=":")
ax.set(xlabel="strength", ylabel="sigma at the start", xlim=(0, 1), ylim=(0, 1.02))
show.quiet_axes(ax)
ax.legend(frameon=False, fontsize=9, loc="lower right")
fig.tight_layout()
show.picture_row(show.figure_pixels(fig), height_px=330)

# %% [markdown]
# ## What goes wrong silently
# The pipeline of diffusers 0.42 does four things without a warning. Our code raises an error
# instead.

# %% tags=["nbval-check-output"]
small = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(seed))
quiet = call | {"height": 32, "width": 32, "num_inference_steps": 4}
frames = pipeline(video=small, **quiet | {"output_type": "pt"}).frames
print(f"8 frames in, {frames.shape[1]} out")
print(
    f"strength 0.1 of 4 steps: {len(pipeline(video=small, **quiet | {'strength': 0.1}).frames)}"
    " clips come back"
)
stretched = pipeline(video=torch.rand(5, 3, 64, 16), **quiet | {"output_type": "pt"}).frames
print(f"a clip of 64 x 16 pixels comes back as {tuple(stretched.shape[3:])}: stretched")
euler = diffusers.FlowMatchEulerDiscreteScheduler.from_config(
    diffusers.UniPCMultistepScheduler.from_pretrained(folder / "scheduler").config
)
print(f"shift {prior.shift} of the checkpoint's UniPC, as Euler's config: {euler.shift}\n")
for attempt in (
    lambda: prior.to_latents(torch.zeros(1, 3, 8, 32, 32)),
    lambda: prior.to_latents(torch.zeros(1, 3, 5, 60, 32)),
    lambda: sdedit.start_index(0.1, 4),
):
    try:
        attempt()
    except ValueError as error:
        print("toolkit:", error)

# %% [markdown]
# ## What it costs
# Attention compares every token with every other one. We count the arithmetic on the meta device
# and the memory on *fake tensors*: `wan.peak_bytes` adds up what is allocated and freed. Both use
# the real classes at full size. One block is measured and counted as often as there are blocks.
# **Guess:** how much more do four times as many frames cost?


# %%
def forward(config, grid, device, dtype):
    t, h, w = grid.shape
    return lambda net: net(
        torch.empty(1, config["in_channels"], t, h, w, device=device, dtype=dtype),
        timestep=torch.ones(1, device=device),
        encoder_hidden_states=torch.empty(1, 512, 4096, device=device, dtype=dtype),
        return_dict=False,
    )


def count(config, grid):
    """Floating-point operations of one velocity, and peak bytes of its activations in bf16."""
    small, flops = dict(config) | {"num_layers": 1}, []
    for layers in (1, 2):
        with torch.device("meta"):
            net = diffusers.WanTransformer3DModel(**small | {"num_layers": layers})
        with FlopCounterMode(display=False) as counter:
            forward(small, grid, "meta", torch.float32)(net)
        flops.append(counter.get_total_flops())
    total = flops[0] + (config["num_layers"] - 1) * (flops[1] - flops[0])
    peak = wan.peak_bytes(
        lambda: diffusers.WanTransformer3DModel(**small),
        forward(small, grid, "cpu", torch.bfloat16),
        torch.bfloat16,
    )
    return total, peak


# %%
print(
    f"{'':9}{'frames':>7}{'size':>10}{'tokens':>8}{'latent MB':>10}{'TFLOP/step':>13}"
    f"{'activations GB':>15}{'VAE GB':>8}"
)
costs = {}
for name in ("t2v-1.3b", "t2v-14b"):
    config = wan.MODELS[name].transformer
    for clip in ((21, 416, 240), (21, 832, 480), (81, 832, 480))[: 1 if fast else 3]:
        size = wan.LatentGrid(*clip)
        flops, peak = costs[name, clip] = count(config, size)
        vae_gb = wan.DECODE_BYTES_PER_PIXEL * clip[1] * clip[2] / 1e9
        print(
            f"{name:9}{clip[0]:7}{clip[1]:6}x{clip[2]}{size.num_tokens:8,}"
            f"{16 * np.prod(size.shape) * 4 / 1e6:10.1f}{2 * flops / 1e12:13.0f}"
            f"{peak / 1e9:15.2f}{vae_gb:8.1f}"
        )

# %% [markdown]
# With guidance, a step is two velocities. Strength 0.8 of 50 steps is 40 steps. Suppose that a card
# sustains 100 TFLOP/s, a round number for a large one: then the column times 0.4 gives seconds. The
# weights need memory on top of this. The need of the VAE does not grow with the number of frames,
# because it works on groups of four.
#
# `choose_plan` takes the fastest way that fits: everything *resident*; the VAE in *tiles*; the
# transformer *swapped* out while the VAE works; or the transformer *streamed*, block by block, from
# main memory.

# %% tags=["nbval-check-output"]
print(f"21 views of 832 x 480, bf16\n{'card':>5}  {'model':9} transformer  VAE    text   peak GB")
for name in ("t2v-1.3b", "t2v-14b"):
    for memory_gb in wan.PRESETS_GB:
        plan = wan.choose_plan(memory_gb, wan.MODELS[name].transformer, (21, 832, 480))
        print(
            f"{memory_gb:3} GB  {name:9} {plan.transformer:12} "
            f"{'tiled' if plan.tiled_vae else 'whole':6} "
            f"{'GPU' if plan.text_on_gpu else 'CPU':6} {plan.peak_gb:5.1f}"
        )

# %% [markdown]
# ## The whole step
# `refine_clip` takes our turntable prior and Wan in the same way. A latent prior pads and encodes
# the clip, the same SDEdit loop runs, and the result is decoded and cropped.
#
# In the full profile, this cell **needs real weights**. It takes the Wan2.1 that
# `python -m toolkit doctor` found, and renders the turntable at 832 x 480. If there is none, the
# cell stops with the command that fetches T2V-1.3B at a fixed commit. **In the embedded profile the
# weights are random: the pictures on the right are noise, in the right shape.**

# %%
name, long = "random weights", profile == "full" and not fast
if profile == "full":
    device, ((name, checkpoint),) = find_device(), choose("prior").items()
    name, size = label(name, checkpoint), (64, 32) if fast else (832, 480)
    prior = wan.WanPrior.load(
        wan.WanConfig(
            checkpoint, device=device, clip=wan.LatentGrid(views, *size, close_loop=True).padded
        )
    )
    turntable = make_turntable(size)
    print(f"{name} on {device}: {prior.plan}")
edit = replace(
    wan.OPERATING_POINT,
    shift=prior.shift,
    num_inference_steps=50 if long else 4,
    strength=0.8 if long else 0.5,
)
refined = refine.refine_clip(prior, turntable, edit, generator=torch.Generator().manual_seed(seed))
sigma = sdedit.start_sigma(edit.strength, edit.num_inference_steps, edit.shift)
print(f"{name}: start sigma {sigma:.3f}, {tuple(turntable.rgb.shape)} -> {tuple(refined.shape)}")
show.picture_row(
    *turntable.rgb[:: max(1, views // 3)][:4], *refined[:: max(1, views // 3)][:4], height_px=240
)

# %% [markdown]
# **An image-to-video (I2V) checkpoint also sees the photo.** It gets 36 channels: the noisy
# latents, 4 mask channels, and the 16 latents of a clip that is grey after its first frame. CLIP's
# tokens of this frame are added to the prompt. diffusers has no SDEdit for it, but our loop works
# with it as it is.

# %%
i2v = wan.WanPrior.load(
    wan.WanConfig(
        wan.write_tiny_wan(Path(out_dir) / "tiny-i2v", "i2v"), device="cpu", dtype=torch.float32
    )
)
seen = i2v.with_first_frame(placed[:, :, 0], num_frames=placed.shape[2])
print(
    f"first frame: {tuple(seen.first_frame.shape)}, mask by latent frame "
    f"{seen.first_frame[0, 0].amax((1, 2)).tolist()}, CLIP tokens {tuple(seen.image.shape)}"
)
v = i2v.velocity(z0, 0.7, seen)
print("velocity", tuple(v.shape))

# %%
# Check: all of this also holds in the fast profile
assert difference < 1e-4, "our loop and diffusers disagree"
assert all((change[i, 4 * i + 1 :] == 0).all() for i in range(3)), "the VAE looked ahead"
assert (np.diag(change[:, ::4]) > 0).all()
assert refined.shape == turntable.rgb.shape and refined.isfinite().all()
assert float(pooled.mean()) <= float(keep.mean())
if profile == "full":
    print(check_full_run(device, name))
for (name, clip), (_, peak) in costs.items():
    tokens = wan.LatentGrid(*clip).num_tokens
    assert peak < wan.activation_bytes(wan.MODELS[name].transformer, tokens, torch.bfloat16)
print("all checks passed")

# %% [markdown]
# ## Exercises
# 1. Set `close_loop=False` in `WanConfig`. Which views then lack a neighbour?
# 2. In `LatentGrid.pool`, replace the lowest value by the mean, and run SDEdit with `guidance=1`
#    and half of each picture kept. What leaks across the edge, and in which direction?
# 3. `choose_plan` never splits the clip. How many frames of 832 x 480 fit on 8 GB with the 14B
#    model, and what would be lost if two halves were refined one after the other?

# %% [markdown]
# <details><summary>Solution 1</summary>
#
# `LatentGrid(13, 200, 104).padded` has 13 frames instead of 17. 13 is already $4k+1$, so nothing is
# added and the clip ends with view 12. Views 12 and 0 are neighbours on the turntable, but they lie
# at opposite ends of the clip. Attention reaches across, but the VAE is causal: view 0 is encoded
# alone, and view 12 is never encoded together with view 0. With `close_loop`, frames 13 to 16 show
# views 0 to 3.
#
# </details>

# %% [markdown]
# <details><summary>Solution 2</summary>
#
# Keep the left 50 of 104 columns. With the lowest value, cell columns 1 to 5 are kept. With the
# mean, three quarters of column 6 and half of the padded column 0 are kept, too, and so is a part
# of the cells in the padded rows.
#
# Guidance pulls such a cell to the coarse clip with *all* of its pixels. Hidden coarse colour
# beside the edge is kept as if the photo had shown it. So the leak goes from the coarse clip into
# the part that should be refined, and it is up to one cell (8 px) wide.
#
# </details>

# %% [markdown]
# <details><summary>Solution 3</summary>
#
# 77 frames:
#
# ```python
# net = wan.MODELS["t2v-14b"].transformer
# print(wan.choose_plan(8, net, (77, 832, 480)))   # fits, one block streamed at a time
# wan.choose_plan(8, net, (81, 832, 480))          # is refused
# ```
#
# Two halves that are refined one after the other share no attention. The back cannot look at the
# colours of the front, the noise is independent, and a closed turntable has two seams. One half
# would have to be given to the other one as frames that are kept (`keep`, guidance).
#
# </details>

# %% [markdown]
# ## Recap
# - A clip must have $4k+1$ frames, and its sides must be multiples of 16. Pad, never stretch.
# - The text encoder is the largest part, and it is needed once.
# - Report $\sigma$ beside the strength, and always with shift and steps.
# - The SDEdit loop is ours. Wan only answers `velocity(x, sigma, condition)`.
#
# **References.** Wan Team 2025, *Wan: open and advanced large-scale video generative models*,
# arXiv 2503.20314. Meng et al. 2022, *SDEdit*, 2108.01073. Ho & Salimans 2022, *Classifier-free
# diffusion guidance*, 2207.12598. Configurations: Wan-Video/Wan2.1 `wan/configs`,
# huggingface/diffusers `scripts/convert_wan_to_diffusers.py`.
