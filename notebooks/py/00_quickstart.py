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
# # One photo to an animatable avatar
#
# Runs on a CPU; no GPU, account or download. The stages, in the order of the
# data:
#
# **photo → points and mask → body → coarse Gaussians → turntable → SDEdit → refit → animation**
#
# You need nothing but the installed `toolkit`. `python -m toolkit avatar PHOTO --out DIR` does
# the same in one line.

# %% tags=["parameters"]
photo = ""  # path of a PNG, JPEG or WebP with one person; empty: the sample photo
out_dir = "../runs/quickstart"  # where the results go
profile = "embedded"  # "embedded" (this repository's small models, CPU) or "full" (GPU)
seed = 0  # of the orbit, the noise and the fit
strength = None  # of SDEdit, 0 (changes nothing) to 1; None: where the prior did best
fast = False  # few steps and views, for tests; the pictures are then not worth looking at

# %%
from pathlib import Path

import torch
from PIL import Image

from toolkit.body import motion, rig
from toolkit.coarse import observe as pixel_aligned
from toolkit.photo import load
from toolkit.photo.detection import detect as keypoints
from toolkit.prior.orbit import OrbitConfig, orbit
from toolkit.prior.sdedit import start_sigma
from toolkit.profiles.base import PipelineConfig, load_profile
from toolkit.refine import turntable as refine
from toolkit.refine.refit import FitConfig, fit
from toolkit.render import api, mesh
from toolkit.run import report
from toolkit.run.files import sample_path
from toolkit.show import animate
from toolkit.show import figures as show
from toolkit.show.export import write_video
from toolkit.show.viewer import picture_row, turntable_widget

stages = load_profile(profile)
body_model = stages.body_model
short = {"num_views": 5, "num_inference_steps": 4, "fit_steps": 10, "clip_size": (96, 48)}
config = PipelineConfig(profile=profile, seed=seed, strength=strength, **(short if fast else {}))
config = config.resolved(stages)  # what was left open is now what suits the profile
print(
    f"{stages.coarse_name} + {stages.prior_name}, {config.num_gaussians} Gaussians, "
    f"{config.num_views} views of {config.clip_size[0]} x {config.clip_size[1]} pixels"
)

# %% [markdown]
# ## What one photo tells
# Two small nets find 33 points and the person's mask. A body with 55 joints is then fitted to
# both: shape $\beta \in \mathbb{R}^{20}$, pose $\theta \in \mathbb{R}^{55 \times 3}$ and the
# camera. Teal is the outline of the mask, pink that of the fitted body.

# %%
picture = load.read_photo(photo or sample_path("person.jpg"))
person = keypoints.detect(picture.rgb, picture.alpha)
body = stages.fit_body(picture, person)
posed = body_model(body.betas, body.pose, body.transl)
drawn = mesh.rasterize_mesh(posed.vertices.numpy(), body_model.faces.numpy(), body.camera)
outline = show.alignment_overlay(picture.rgb, body.mask, drawn.face_id >= 0)
print(f"{int((person.keypoints[:, 2] > 0.5).sum())} of 33 points seen")
picture_row(picture.rgb, outline, height_px=420)

# %% [markdown]
# ## Coarse, turntable, SDEdit, refit
# A transformer gives every anchor on the body one Gaussian: offset, scale, rotation, opacity,
# colour. One photo does not say what the back looks like, and a regressor answers with an
# average. So the avatar is rendered all around, the clip $x_0$ is noised part of the way,
# $x_\sigma = (1-\sigma)\,x_0 + \sigma\,\epsilon$, and a video prior brings it back with its
# velocity $v$: $x_{\sigma'} = x_\sigma + (\sigma' - \sigma)\,v(x_\sigma, \sigma)$. The refined
# clip and the photo are then the ground truth of a 3DGS fit without densification.

# %%
image, mask = torch.from_numpy(picture.rgb), torch.as_tensor(body.mask)
surface = stages.make_anchors(config.num_gaussians)
gaussians = stages.predict_coarse(image, mask, body, surface)
coarse = rig.Avatar(gaussians, rig.Rig.build(body_model, surface, body.betas))
with torch.no_grad():
    own_view = api.render(coarse.posed(body.pose, body.transl), body.camera)
picture_row(picture.rgb, own_view.rgb[0], height_px=420)

# %%
path = orbit(OrbitConfig(num_views=config.num_views, seed=seed))
crop = pixel_aligned.crop_photo(image, mask, body.camera)
visible = pixel_aligned.observe(crop, body, body_model, surface).visible
with torch.no_grad():
    turntable = refine.render_turntable(
        coarse, path, visible, size=config.clip_size, device=stages.device
    )
print(f"the photo saw {visible.float().mean():.0%} of the Gaussians")
picture_row(*turntable.rgb[::2], height_px=250)

# %%
edit = config.sdedit()
sigma = start_sigma(edit.strength, edit.num_inference_steps, edit.shift)
prior = stages.load_prior(config.num_views, *config.clip_size)
print(f"SDEdit starts at sigma = {sigma:.2f}")
refined_clip = refine.refine_clip(
    prior, turntable, edit, generator=torch.Generator().manual_seed(seed)
)
picture_row(*refined_clip[::2], height_px=250)

# %%
targets = [
    refine.clip_target(turntable, refined_clip, -coarse.rig.joints[0]),
    refine.photo_target(image, mask, body),
]
there = [part.to(stages.device) for part in (coarse.gaussians, coarse.rig, *targets)]
gaussians, history = fit(*there[:2], there[2:], FitConfig(steps=config.fit_steps, seed=seed))
refined = rig.Avatar(gaussians.to("cpu"), coarse.rig)
print(
    f"loss {history.loss[:5].mean():.3f} -> {history.loss[-5:].mean():.3f}, "
    f"{len(gaussians)} Gaussians before and after"
)

# %% [markdown]
# ## Look
# Drag the slider (or press play): the coarse avatar, what the prior made of its frames, and the
# Gaussians fitted to them. Photo and diagnostics are in the sheet below it.

# %%
with torch.no_grad():
    after = refine.render_turntable(
        refined, path, visible, size=config.clip_size, device=stages.device
    )
clips = {"coarse": turntable.rgb, "refined clip": refined_clip, "refined avatar": after.rgb}
turntable_widget(clips, path.azimuths_deg)

# %%
results = Path(out_dir)
exams = [
    report.Examination(name, avatar, picture.rgb, body)
    for name, avatar in (("coarse", coarse), ("refined", refined))
]
report.draw_comparison(results / "compare.png", picture.rgb, body, exams)
sheet = Image.open(results / "compare.png").convert("RGB")
sheet.resize((1200, round(1200 * sheet.height / sheet.width)))

# %%
shot = animate.AnimationConfig(size=(256, 192), seconds=0.5 if fast else 3.0)
film = animate.animate(refined, motion.load_clip("walk"), shot)
write_video(results / "walk.mp4", film, fps=shot.fps)
refined.gaussians.save_ply(results / "refined.ply")
refined.save(results / "avatar.npz")
picture_row(*film[:: max(1, len(film) // 6)][:6], height_px=230)

# %%
# Check: these hold in the fast profile too
assert len(refined.gaussians) == len(coarse.gaussians) == len(surface)
assert all(torch.isfinite(value).all() for value in vars(refined.gaussians).values())
assert 0 <= refined.gaussians.opacities.min() and refined.gaussians.opacities.max() <= 1
assert (refined_clip - turntable.rgb).abs().max() > 0.01, "SDEdit changed nothing"
assert history.loss[-5:].mean() < history.loss[:5].mean(), "the refit did not lower its loss"
if "stand-in" not in stages.pose_name:  # random weights find no body
    assert exams[0].misalignment.iou > 0.6, "the coarse avatar does not cover the person"
print("all checks passed; written:", *sorted(p.name for p in results.iterdir()))
