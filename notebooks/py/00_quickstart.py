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
# This notebook runs on a CPU and needs no GPU, account or download, only the installed `toolkit`.
# Each cell is one stage of the method, in the order in which the data flow:
#
# **photo → points and mask → body → coarse Gaussians → turntable → SDEdit → refit → animation**
#
# `python -m toolkit avatar PHOTO --out DIR` runs the same stages with one command.

# %% tags=["parameters"]
photo = ""  # path of a PNG, JPEG or WebP with one person; empty: the sample photo
out_dir = "../runs/quickstart"  # where the results go
profile = "embedded"  # our small models, on a CPU; "full": the paper's models, on a GPU
seed = 0  # of the orbit, the noise and the fit
strength = None  # of SDEdit, 0 (changes nothing) to 1; None: what suits the profile
fast = False  # few steps and views, for tests; the pictures are then poor

# %%
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image

from toolkit import Avatar, PipelineConfig, load_profile, pipeline, show
from toolkit.body import load_clip
from toolkit.photo import detect, read_photo
from toolkit.profiles import check_full_run
from toolkit.refine import FitConfig, clip_target, fit, photo_target
from toolkit.render import rasterize_mesh, render
from toolkit.run import report, sample_path

stages = load_profile(profile)
edit, short = stages.defaults.edit, {}
if strength is not None:
    edit = replace(edit, strength=strength)
if fast:
    edit = replace(edit, num_inference_steps=4)
    short = {"num_views": 5, "clip_size": (96, 48), "fit": FitConfig(steps=10)}
config = PipelineConfig(profile=profile, seed=seed, edit=edit, **short)
config = config.resolved(stages)  # what is still open gets the value that suits the profile
print(
    f"{stages.models['coarse_model']} + {stages.models['video_prior']}, "
    f"{config.num_gaussians} Gaussians, "
    f"{config.num_views} views of {config.clip_size[0]} x {config.clip_size[1]} pixels"
)

# %% [markdown]
# ## What one photo tells us
# Two small networks find 33 points on the person, and the person's mask. Then a body with 55 joints
# is fitted to both. The fit gives the shape $\beta \in \mathbb{R}^{20}$, the pose
# $\theta \in \mathbb{R}^{55 \times 3}$ and the camera. In the right picture, teal is the outline of
# the mask and pink is the outline of the fitted body.

# %%
picture = read_photo(photo or sample_path("person.jpg"))
person = detect(picture.rgb, picture.alpha)
body = stages.fit_body(picture, person)
posed = stages.body_model(body.betas, body.pose, body.transl)
drawn = rasterize_mesh(posed.vertices.numpy(), stages.body_model.faces.numpy(), body.camera)
outline = show.alignment_overlay(picture.rgb, body.mask, drawn.face_id >= 0)
print(f"{int((person.keypoints[:, 2] > 0.5).sum())} of 33 points seen")
show.picture_row(picture.rgb, outline, height_px=420)

# %% [markdown]
# ## Coarse, turntable, SDEdit, refit
# A transformer predicts one Gaussian per anchor on the body: offset, scale, rotation, opacity and
# colour. One photo does not show the back, and a regressor answers such a question with an average,
# which is blurred. So we render the avatar from all around, add noise to this clip $x_0$,
# $x_\sigma = (1-\sigma)\,x_0 + \sigma\,\epsilon$, and let a video prior remove the noise step by
# step with its velocity $v$: $x_{\sigma'} = x_\sigma + (\sigma' - \sigma)\,v(x_\sigma, \sigma)$.
# Finally, the Gaussians are fitted to the refined clip and to the photo, as in 3DGS, but without
# densification.

# %%
anchors = stages.make_anchors(config.num_gaussians)
coarse = pipeline.predict_coarse(stages, picture, body, anchors)
with torch.no_grad():
    own_view = render(coarse.posed(body.pose, body.transl), body.camera)
show.picture_row(picture.rgb, own_view.rgb[0], height_px=420)

# %%
visible = pipeline.seen_anchors(picture, body, stages, anchors)
turntable = pipeline.make_turntable(coarse, visible, config, stages)
print(f"the photo saw {visible.float().mean():.0%} of the Gaussians")
show.picture_row(*turntable.rgb[::2], height_px=250)

# %%
refined_clip = pipeline.edit_turntable(turntable, config, stages).frames
print(f"SDEdit starts at sigma = {config.edit.start_sigma:.2f}")
show.picture_row(*refined_clip[::2], height_px=250)

# %%
targets = [
    clip_target(turntable, refined_clip, -coarse.rig.joints[0]),
    photo_target(torch.from_numpy(picture.rgb), torch.as_tensor(body.mask), body),
]
gaussians, history = fit(
    coarse.gaussians.to(stages.device),
    coarse.rig.to(stages.device),
    [target.to(stages.device) for target in targets],
    config.fit,
    generator=torch.Generator().manual_seed(seed),
)
refined = Avatar(gaussians.to("cpu"), coarse.rig)
print(
    f"loss {history.loss[:5].mean():.3f} -> {history.loss[-5:].mean():.3f}, "
    f"{len(gaussians)} Gaussians before and after"
)

# %% [markdown]
# ## Look at the result
# Drag the slider, or press play. From left to right you see the coarse avatar, the frames that the
# prior made of it, and the Gaussians that were fitted to these frames. The sheet below compares
# both avatars with the photo.

# %%
after = pipeline.make_turntable(refined, visible, config, stages)
clips = {"coarse": turntable.rgb, "refined clip": refined_clip, "refined avatar": after.rgb}
show.turntable_widget(clips, turntable.orbit.azimuths_deg)

# %%
results = Path(out_dir)
diagnoses = [
    report.Diagnosis(name, avatar, picture, body)
    for name, avatar in (("coarse", coarse), ("refined", refined))
]
report.draw_comparison(results / "compare.png", picture, body, diagnoses)
sheet = Image.open(results / "compare.png").convert("RGB")
sheet.resize((1200, round(1200 * sheet.height / sheet.width)))

# %%
shot = show.AnimationConfig(size=(256, 192), seconds=0.5 if fast else 3.0)
film = show.animate(refined, load_clip("walk"), shot)
show.write_video(results / "walk.mp4", film, fps=shot.fps)
refined.gaussians.save_ply(results / "refined.ply")
refined.save(results / "avatar.npz")
show.picture_row(*film[:: max(1, len(film) // 6)][:6], height_px=230)

# %%
# Check: all of this also holds in the fast profile
assert len(refined.gaussians) == len(coarse.gaussians) == len(anchors)
assert all(torch.isfinite(value).all() for value in vars(refined.gaussians).values())
assert 0 <= refined.gaussians.opacities.min() and refined.gaussians.opacities.max() <= 1
assert (refined_clip - turntable.rgb).abs().max() > 0.01, "SDEdit changed nothing"
assert history.loss[-5:].mean() < history.loss[:5].mean(), "the refit did not lower its loss"
if "stand-in" not in stages.models["pose_model"]:  # random weights find no body
    assert diagnoses[0].misalignment.iou > 0.6, "the coarse avatar does not cover the person"
if profile == "full":
    print(check_full_run(stages.net_device, *stages.models.values()))
print("all checks passed; written:", *sorted(p.name for p in results.iterdir()))
