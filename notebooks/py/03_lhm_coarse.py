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
# # LHM: the coarse avatar, layer by layer
#
# photo → points and mask → body → **coarse Gaussians** → turntable → SDEdit → refit → animation
#
# The *full* profile takes its coarse avatar from LHM (Qiu et al. 2025). This notebook opens that
# network. The layers are the real ones, in a tiny instance with random weights. It runs on a CPU in
# less than a minute; a released checkpoint needs a GPU.

# %% [markdown]
# **You will learn**
# - what goes into the network (two pictures and fixed points) and what does not (shape and pose);
# - how points on the body read image tokens, and the one line in which the released weights differ
#   from the textbook block;
# - how 14 numbers per point become Gaussians, and how these Gaussians move;
# - how large the real checkpoints are, without downloading one;
# - whether the blur on the back of a trained regressor's avatar is the mean of what may be there;
# - how to bind *any* 3DGS file to the body.
#
# **You need** nothing but the installed `toolkit`.

# %% tags=["parameters"]
profile = "embedded"  # "embedded": a tiny random LHM; "full": a released checkpoint, on a GPU
weights = ""  # full: folder of the checkpoint and its parts; empty: what doctor found
body_file = ""  # full: your SMPLX_NEUTRAL.npz; empty: what doctor found
seed = 0  # of the tiny instance's weights
fast = False  # fewer points, for tests
out_dir = "../runs/lhm_coarse"  # where the tiny checkpoint and the avatar go

# %%
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from IPython.display import Markdown

from toolkit import Avatar, Gaussians, show
from toolkit.body import (
    Rig,
    a_pose,
    bind,
    joint_transforms,
    load_body,
    load_clip,
    rodrigues,
    sample_anchors,
)
from toolkit.cameras import orbit_cameras
from toolkit.coarse import lhm, load_coarse, predict
from toolkit.measure import split_error
from toolkit.people import photo_camera, photo_of, render_person, sample_alternatives, sample_person
from toolkit.photo import PhotoBody, detect, fit_body, read_photo
from toolkit.profiles import check_full_run, find_device
from toolkit.render import render
from toolkit.run import sample_path
from toolkit.weights import choose, label, require

# %%
out, device = Path(out_dir), "cpu"
if profile == "full":  # real weights; a missing one stops here, with the command to fetch it
    device = find_device()
    found = {} if weights else choose("coarse")
    folders = list(found.values()) or [Path(weights)] * 3
    licensed = lhm.find_file(require("smplx"), "SMPLX_NEUTRAL.npz")
    body = load_body(body_file or licensed)
else:
    body = load_body()
    num_points = 800 if fast else 6000
    folders = [lhm.write_tiny(out / "tiny", body, seed=seed, num_points=num_points)] * 3
net = lhm.load_folder(folders[0], points=folders[1], sapiens=folders[2], device=device)
print("files:", *sorted(p.name for p in folders[0].iterdir()))
print(net.model.config)

# %% [markdown]
# ## How large the released models are
# PyTorch's *meta device* builds modules without memory: they have shapes, but no numbers. So we can
# count their parameters on any machine. **Guess:** which share of them is in the transformer?


# %% tags=["nbval-check-output"]
def millions(module):
    return sum(p.numel() for p in module.parameters()) / 1e6


with torch.device("meta"):
    nets = {
        name: lhm.LHM(config) for name, config in lhm.RELEASED.items() if not name.endswith("HF")
    }  # the HF versions were also trained on half bodies; the network is the same
    dino = lhm.HeadEncoder(lhm.DINOV2_L, [1024] * 4, 1024)
    sapiens = lhm.BodyEncoder(lhm.SAPIENS_1B)
lines = ["| million parameters | " + " | ".join(nets) + " |", "|---|" + "--:|" * len(nets)]
parts = {
    "body-head transformer": lambda n: n.transformer,
    "modulation": lambda n: n.motion_embed_mlp,
    "point embedding": lambda n: n.pcl_embed,
    "decoder": lambda n: n.renderer,
    "head encoder, DINOv2-L + fusion": lambda n: dino,
    "body encoder, Sapiens-1B": lambda n: sapiens,
}
for part, pick in parts.items():
    lines.append(
        f"| {part} | " + " | ".join(f"{millions(pick(n)):.1f}" for n in nets.values()) + " |"
    )
Markdown("\n".join(lines))

# %% [markdown]
# Points and body tokens attend to each other in one softmax, with 16 heads. The table shows the
# size of the weights in bfloat16, and the size of *one* attention matrix if it were ever stored. It
# explains why every attention here goes through `scaled_dot_product_attention`, which keeps only a
# strip of the matrix at a time.

# %% tags=["nbval-check-output"]
lines = [
    "| | layers | Gaussians | weights, GB | tokens in one attention | its matrix, GB |",
    "|---|--:|--:|--:|--:|--:|",
]
for name, n in nets.items():
    tokens = n.config.points + (lhm.BODY_PX // lhm.SAPIENS_1B.patch) ** 2
    size = 2e6 * (millions(n) + millions(dino) + millions(sapiens)) / 1e9
    matrix = 2 * n.config.heads * tokens**2 / 1e9
    lines.append(
        f"| {name} | {n.config.layers} | {n.config.points} | {size:.1f} | {tokens} | {matrix:.0f} |"
    )
Markdown("\n".join(lines))

# %% [markdown]
# ## Two pictures go in
# One picture is the person, cut out on white, framed 5 : 3 and then padded to a square. The other
# one is the head; the fitted body says where it is. The head picture is *not* normalised. This is
# an oddity, but the released weights were trained with it.

# %%
picture = read_photo(sample_path("person.jpg"))
person = detect(picture.rgb, picture.alpha)
photo_body = fit_body(person, picture.rgb.shape[:2], body, focal_px=picture.focal_px)
image, mask = torch.from_numpy(picture.rgb), torch.as_tensor(photo_body.mask)
framed = lhm.frame_person(image, mask, source_px=net.source_px)
head_box = lhm.head_box(lhm.head_vertices(photo_body, body), photo_body.camera)
head = lhm.crop_head(image, head_box)
for_body, for_head = lhm.body_input(framed), lhm.head_input(head)
print("body", tuple(for_body.shape), " head", tuple(for_head.shape))
squares = [lhm.resize_square(x, 512)[0].permute(1, 2, 0).clamp(0, 1) for x in (framed, head)]
show.picture_row(image, *squares, height_px=330)

# %% [markdown]
# Two vision transformers turn the pictures into tokens, one token per patch, row by row. Below, the
# first three principal components of the tokens are shown as red, green and blue. The weights are
# random: the patches differ, but nothing is recognised yet.


# %%
def components(tokens):
    """First three principal components as a picture."""
    x = tokens[0].float().cpu() - tokens[0].float().mean(0).cpu()
    side = int(len(x) ** 0.5)
    rgb = x @ torch.linalg.svd(x, full_matrices=False)[2][:3].T
    return (0.5 + rgb / (5 * rgb.std(0))).clamp(0, 1).reshape(side, side, 3)


body_tokens = net.body_encoder(for_body.to(device))
head_tokens = net.head_encoder(for_head.to(device))
print("body tokens", tuple(body_tokens.shape), " head tokens", tuple(head_tokens.shape))
blocks = [
    F.interpolate(components(t).permute(2, 0, 1)[None], (320, 320))[0].permute(1, 2, 0)
    for t in (body_tokens, head_tokens)
]
show.picture_row(*blocks, height_px=320)

# %% [markdown]
# ## Fixed points go in
# The queries are points on the template. The first three quarters lie on the body, the last quarter
# lies on the head. Linear blend skinning carries them from the zero pose to the *canonical* pose,
# with the legs apart: $q = \sum_j w_j\, T_j\, p$. The shape and the pose of the person are **not**
# inputs.

# %%
skin = net.model.skin
legs = torch.zeros(55, 3, device=device)
legs[lhm.LEFT_HIP, 2], legs[lhm.RIGHT_HIP, 2] = lhm.HIP_ANGLE_RAD, -lhm.HIP_ANGLE_RAD
joints = skin.rest_joints(torch.zeros(0, device=device))
T = joint_transforms(rodrigues(legs), joints, skin.smplx_layer.parents)
points = net.points.to(device)
blend = torch.einsum("nj,jab->nab", skin.skinning_weight, T)
q = (blend[:, :3, :3] @ points[..., None])[..., 0] + blend[:, :3, 3]
output = lhm.forward(net.model, body_tokens, head_tokens, points)
assert torch.allclose(q, output.query_points, atol=1e-5)

fig = show.figure(900, 330)
num_body = int(0.75 * len(points))
for i, (name, p) in enumerate((("zero pose", points), ("canonical pose", q))):
    ax = fig.add_subplot(
        1,
        2,
        i + 1,
        aspect="equal",
        title=name,
        ylim=(float(points[:, 1].min()) - 0.03, float(points[:, 1].max()) + 0.03),
    )
    for part, color in ((slice(0, num_body), "#5f7c99"), (slice(num_body, None), "#d8612c")):
        ax.scatter(p[part, 0].cpu(), p[part, 1].cpu(), s=1.2, color=color)
    ax.set_axis_off()
fig.subplots_adjust(0, 0, 1, 0.9, wspace=0)
show.picture_row(show.figure_pixels(fig), height_px=330)

# %% [markdown]
# ## A point becomes a vector
# Each coordinate gives sines and cosines at eight octaves, from a wavelength of 2 m down to 1.6 cm,
# and itself: $3 \cdot 8 \cdot 2 + 3 = 51$ numbers. One linear layer and one norm follow. This is
# the only place where the network learns *where* a point is. The image tokens have no position
# besides the one from their encoder.


# %%
def embed(embedding, x):
    angles = x @ embedding.basis  # (N, 24)
    features = torch.cat([angles.sin(), angles.cos(), x], dim=1)
    return embedding.norm(embedding.mlp(features))


x = embed(net.model.pcl_embed, q)
assert torch.allclose(x, net.model.pcl_embed(q), atol=1e-5)
arm = torch.linspace(0, 0.8, 400)[:, None] * torch.tensor([1.0, 0, 0]) + torch.tensor([0, 0.2, 0.0])
waves = (arm.to(device) @ net.model.pcl_embed.basis).sin().cpu()
fig = show.figure(760, 230)
ax = fig.add_subplot(ylabel="octave of x", xlabel="metres along an arm")
ax.imshow(waves[:, :8].T, aspect="auto", cmap="RdBu", extent=(0, 0.8, 7.5, -0.5))
fig.subplots_adjust(bottom=0.25)
print(tuple(x.shape))
show.picture_row(show.figure_pixels(fig), height_px=230)

# %% [markdown]
# ## The joint block
# This is the MM-DiT block of SD3. Points and image tokens have projections of their own and share
# one attention. A vector $t$, computed from the mean body token by a small MLP, shifts, scales and
# gates every branch. Each layer runs the block twice: first head points with head tokens, then all
# points with body tokens.
#
# Here is the whole block. **Guess:** its last line adds the update of the image tokens a second
# time, without the gate. Is this a slip that we can tidy up?


# %%
def norm(v):
    return F.layer_norm(v, v.shape[-1:], eps=1e-6)


def joint_block(b, x, c, t, *, second_update=True):
    a, num = b.attn, x.shape[1]
    shift, scale, gate, shift_f, scale_f, gate_f = b.norm1(t)
    cshift, cscale, cgate, cshift_f, cscale_f, cgate_f = b.norm1_context(t)
    xn, cn = norm(x) * (1 + scale) + shift, norm(c) * (1 + cscale) + cshift

    def heads(v):
        return v.unflatten(-1, (a.num_heads, -1)).transpose(1, 2)

    query = torch.cat([a.norm_q(heads(a.to_q(xn))), a.norm_added_q(heads(a.add_q_proj(cn)))], 2)
    key = torch.cat([a.norm_k(heads(a.to_k(xn))), a.norm_added_k(heads(a.add_k_proj(cn)))], 2)
    value = torch.cat([heads(a.to_v(xn)), heads(a.add_v_proj(cn))], 2)
    mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
    x = x + gate * a.to_out[0](mixed[:, :num])
    x = x + gate_f * b.ff(norm(x) * (1 + scale_f) + shift_f)
    c = c + cgate * a.to_add_out(mixed[:, num:])
    update = b.ff_context(norm(c) * (1 + cscale_f) + cshift_f)
    c = c + cgate_f * update
    return x, c + update if second_update else c


# %%
trunk = net.model.transformer
kind = trunk.norm.weight.dtype
tokens = body_tokens.to(kind)
condition = net.model.motion_embed_mlp(tokens.mean(1))
context, points_in = trunk.linear_cond_proj(tokens), x.to(kind)[None]
t_body, t_head = condition.chunk(2, dim=-1)
first = trunk.layers[0].body_dit
with torch.no_grad():
    ours, ours_c = joint_block(first, points_in, context, t_body)
    theirs, theirs_c = first(points_in, context, t_body)
    tidy_c = joint_block(first, points_in, context, t_body, second_update=False)[1]
assert torch.allclose(ours, theirs, atol=1e-3) and torch.allclose(ours_c, theirs_c, atol=1e-3)
change = (tidy_c - theirs_c).float().std() / theirs_c.float().std()
print(
    f"our block and the toolkit's agree; {len(trunk.layers)} layers, "
    f"{points_in.shape[1]} points + {context.shape[1]} tokens in one attention"
)
print(f"without the second update, the image tokens differ by {change:.0%} of their spread")

# %% [markdown]
# We cannot. The released weights were trained with this line, and the reference numbers in our
# tests fail without it. Code that loads other people's weights has to keep their slips, and should
# say so.

# %% [markdown]
# ## Latents to Gaussians
# The decoder is a small MLP with five linear heads. Each output has its own range: offsets within
# half a metre, standard deviations up to 5 cm (2 cm on the upper body), and a colour that does not
# depend on the view.

# %%
decoder = net.model.renderer
with torch.no_grad():
    hidden = decoder.mlp_net.layers(output.latent)
    raw = {name: linear(hidden) for name, linear in decoder.gs_net.out_layers.items()}
offset = (raw["xyz"].sigmoid() - 0.5) * net.model.config.max_offset_m
scale = raw["scaling"].exp().clamp(max=net.model.config.max_scale_m)
small = scale.clamp(max=lhm.MAX_UPPER_SCALE_M)
scale = torch.where(skin.is_upper_body[:, None], small, scale)
by_hand = {
    "offset": offset,
    "scaling": scale,
    "rotation": F.normalize(raw["rotation"], dim=1),
    "opacity": raw["opacity"].sigmoid(),
    "rgb": raw["shs"].sigmoid(),
}
for name, value in by_hand.items():
    assert torch.allclose(value, getattr(output, name), atol=1e-4), name
print(
    f"median offset {1000 * offset.norm(dim=1).median():.1f} mm, "
    f"median size {1000 * scale.median():.1f} mm, "
    f"{sum(v.shape[1] for v in by_hand.values())} numbers per point"
)

# %% [markdown]
# ## Shape and pose come last
# The Gaussians go from the canonical pose to the zero pose, then the shape is added, then they go
# to any pose, each time by linear blend skinning. So one run of the network serves every pose and
# every shape. LHM moves a Gaussian by the *blended* matrix. Our rig moves the anchor by this
# matrix, but it turns offset and orientation by the nearest rotation. **Guess:** how far apart are
# the two results?

# %%
anchors = lhm.make_anchors(net, body)
gaussians = lhm.predict(net, image, mask, photo_body, body, anchors)
avatar = Avatar(gaussians, Rig.build(body, anchors, photo_body.betas))
betas = photo_body.betas.clone()
betas[10:] = 0  # LHM's own posing has ten betas
ten = replace(photo_body, betas=betas)
by_rig = Avatar(lhm.predict(net, image, mask, ten, body, anchors), Rig.build(body, anchors, betas))
walking = load_clip("walk").poses[10]
same = lhm.reconstruct(net, image, mask, lhm.head_vertices(ten, body), ten.camera)
by_lhm = lhm.pose(net.model, same, betas[:10], walking).gaussians().to("cpu")
apart_mm = 1000 * (by_lhm.means - by_rig.posed(walking).means).norm(dim=1)
print(
    f"LHM's posing and our rig: median {apart_mm.median():.2f} mm, 99 % below "
    f"{apart_mm.quantile(0.99):.1f} mm"
)


# %%
def views(gaussians, azimuths=(0.0, 90.0)):
    cameras = orbit_cameras(list(azimuths), [0.0] * len(azimuths), radius_m=5.0, size=(340, 310))
    with torch.no_grad():
        return list(render(gaussians, cameras).rgb)


pelvis = -avatar.rig.joints[0]
poses = {"zero": torch.zeros(55, 3), "A": a_pose(), "walk": walking}
pictures = [view for pose in poses.values() for view in views(avatar.posed(pose, pelvis))[:2]]
show.picture_row(*pictures, height_px=230)

# %% [markdown]
# With random weights, LHM is a cloud of random colours in the shape of the body. What you can see
# here is the geometry of anchors and posing. The [quickstart](00_quickstart.ipynb) shows an avatar
# from a *trained* regressor of this kind.

# %% [markdown]
# ## What causes the blur on the back
# Our own small model (`toolkit.coarse`) is such a regressor, and it blurs the backs of its avatars.
# The usual explanation: many backs $t$ fit one photo, the squared error is smallest at their mean
# $m$, so the avatar $b$ must be this mean.
#
# We can test this. Our people are drawn by a program, and the program can draw *alternatives*:
# people who look the same in the photo, but whose hidden parts are drawn again. **Guess:** will the
# last picture below look like the one before it?

# %%
own_body = load_body()
someone = sample_person(9, "val")
photo, exact = photo_of(someone, (320, 320), supersample=2)
photo, exact_mask = torch.from_numpy(photo) / 255, exact.alpha[0, ..., 0]
true_body = PhotoBody(
    someone.betas,
    someone.pose,
    someone.transl,
    photo_camera(someone.photo_camera, (320, 320)),
    torch.zeros(33, 3),
    exact_mask.numpy(),
    torch.ones(55, dtype=torch.bool),
)
places = sample_anchors(own_body, num=4000 if fast else 20_000)
coarse = predict(load_coarse(), photo, exact_mask, true_body, own_body, places)
standing = Avatar(coarse, Rig.build(own_body, places, someone.betas)).posed(
    a_pose(), someone.transl
)

# %%
behind = orbit_cameras([180.0], [0.0], radius_m=5.0, size=(256, 150), target=(0, -0.1, 0))
group = [someone, *sample_alternatives(someone, 3 if fast else 11)]
drawn = [render_person(p, behind, pose=a_pose()) for p in group]
t, cover = (torch.stack([getattr(d, k) for d in drawn]) for k in ("rgb", "alpha"))
b, m = render(standing, behind).rgb, t.mean(0)
show.picture_row(photo, *t[:4, 0], m[0], b[0], height_px=230)

# %% [markdown]
# From left to right: the photo; four backs that fit it, of which the first is the true one; the
# mean of all backs; the avatar. Over the alternatives, this holds exactly:
#
# $$\overline{|b-t|^2} = \underbrace{|b-m|^2}_{\text{bias}} +
# \underbrace{\overline{|m-t|^2}}_{\text{variance}}$$
#
# No function of the photo can get below the variance. (With $M$ alternatives, $m$ itself is off by
# variance$/M$; the toolkit subtracts this from the bias.)

# %%
inside = cover[..., 0].mean(0) > 0.5
error = (b - t).square().mean(-1)[:, inside].mean()
bias = (b - m).square().mean(-1)[inside].mean()
spread = (t - m).square().mean(-1)[:, inside].mean()
assert torch.allclose(error, bias + spread, rtol=1e-4)
split = split_error(b, t, inside.float())
assert abs(float(split.total) - float(error)) < 1e-5
print(f"x 1000: error {1000 * error:.1f} = bias {1000 * bias:.1f} + variance {1000 * spread:.1f}")
print(
    f"irreducible: {split.irreducible:.0%} of it; the best regressor would gain "
    f"{split.ceiling_db:.1f} dB, a perfect generator {split.sampler_db:.1f} dB"
)

# %% [markdown]
# The avatar is not the mean: the mean keeps the edges, the avatar has lost them. Most of its error
# is bias. The photo does contain this information, but the model does not carry it to the back.
# `docs/results.md` has the same measurement for more people.

# %% [markdown]
# ## A released checkpoint
# Put these files into one folder (sub-folders are searched, too):
# - `config.json` and `model.safetensors` of `3DAIGC/LHM-MINI`, `LHM-500M`, `LHM-500M-HF`, `LHM-1B`
#   or `LHM-1B-HF`, from the Hugging Face Hub or from ModelScope (`Damo_XR_Lab/…`);
# - `1_20000.ply` (MINI) or `1_40000.ply` from LHM's prior archive, because the query points are not
#   in the checkpoint;
# - a Sapiens-1B backbone: `sapiens*.safetensors`, `.pth` or TorchScript `.pt2`. A TorchScript file
#   contains code as well as tensors; take it only from its publisher.

# %% [markdown]
# Then set `profile = "full"`, `weights` and `body_file` above. If you leave them empty, the files
# are looked up where `python -m toolkit doctor` looks; it also prints the commands that fetch them.
# The code is under Apache-2.0. LHM's weights, Sapiens and SMPL-X are for non-commercial research.

# %% [markdown]
# ## Any 3DGS file
# LHM++ and others write a plain PLY in the T-pose. `bind` attaches each Gaussian to the nearest
# point of the surface: the skinning weights come from this point, and offset and orientation are
# expressed in its frame. Here the file is our own, so we know the truth: bind it, let it walk, and
# compare.

# %%
avatar.gaussians.save_ply(out / "foreign.ply")
foreign = Gaussians.load_ply(out / "foreign.ply")
bound = bind(foreign, body, photo_body.betas)
error_mm = 1000 * (bound.posed(walking).means - avatar.posed(walking).means).norm(dim=1)
print(
    f"{len(foreign)} Gaussians bound; after re-posing {error_mm.median():.2f} mm off (median), "
    f"99 % below {error_mm.quantile(0.99):.1f} mm"
)
show.picture_row(
    *views(bound.posed(torch.zeros(55, 3), pelvis)),
    *views(bound.posed(walking, pelvis)),
    height_px=270,
)

# %%
# Check: all of this also holds for a released checkpoint
other = lhm.pose(net.model, output, torch.ones(10), walking)
assert torch.equal(other.rgb, output.rgb), "shape or pose changed the network's output"
assert len(gaussians) == len(net.points) == len(anchors)
assert all(torch.isfinite(value).all() for value in vars(gaussians).values())
assert gaussians.scales.max() <= net.model.config.max_scale_m + 1e-6
assert (output.offset.abs() <= net.model.config.max_offset_m / 2).all()
assert apart_mm.median() < 2 and error_mm.median() < 2
assert abs(millions(nets["LHM-500M"].transformer) - 352.1) < 0.1
if profile == "full" and found:
    print(check_full_run(device, *(label(*part) for part in found.items())))
print("all checks passed")

# %% [markdown]
# ## Exercises
# 1. Reverse `net.points` before `lhm.forward`. The set of points is the same; why are the Gaussians
#    different? (Which of them are now "head"?)
# 2. Write the update of the context in the *last* block. What is left out, and why is that
#    possible?
# 3. Bind the PLY in the walking pose, with the arms close to the hips, instead of the T-pose. Where
#    are the large errors after re-posing to the T-pose?

# %% [markdown]
# <details><summary>Solution 1</summary>
#
# The *place in the list* has a meaning. The first three quarters count as body and the rest as
# head; the skinning weights and the smaller size limit of the upper body are stored by index. After
# the reversal, the "head" block gets points of legs and trunk, and each point moves with the
# skinning weights of another one. So `query_points` lie in the wrong places, some of them far away.
# Attention itself does not depend on the order.
#
# </details>

# %% [markdown]
# <details><summary>Solution 2</summary>
#
# Only keys and values of the context are used, because nobody reads the context afterwards. So the
# second update, the feed-forward net and `to_add_out` are left out, the query of the context is not
# needed, and its modulation has two parts instead of six:
#
# ```python
# cscale, cshift = b.norm1_context(t)          # two chunks come as (scale, shift)
# cn = norm(c) * (1 + cscale) + cshift
# query = a.norm_q(heads(a.to_q(xn)))          # of the points alone
# x = x + gate * a.to_out[0](F.scaled_dot_product_attention(query, key, value)
#                            .transpose(1, 2).flatten(2))
# ```
#
# `key` and `value` are as above. The result equals `trunk.layers[-1].body_dit` to the last bit.
#
# </details>

# %% [markdown]
# <details><summary>Solution 3</summary>
#
# Use `bind(posed, body, betas, walking, transl)`. Most Gaussians come back to their place, but a
# few are far off. They sit at the shoulders and along the spine: in the armpits, the nearest
# surface point of a Gaussian of the chest is on the arm, and the other way round. In the A-pose
# these errors are smaller, and in the T-pose there are none.
#
# </details>

# %% [markdown]
# ## Recap
# Two encoders turn person and head into tokens. Fixed points read them through joint attention.
# Five heads decode offset, scale, rotation, opacity and colour, and skinning does the rest. Written
# to disk: `tiny/` and `foreign.ply`. In the toolkit: `toolkit.coarse.lhm` (`network`, `blocks`,
# `encoders`, `posing`, `from_photo`) and `toolkit.body.bind`.
#
# *References.* Qiu et al. 2025 (LHM); Esser et al. 2024 (SD3, MM-DiT); Oquab et al. 2023 and Darcet
# et al. 2023 (DINOv2, registers); Khirodkar et al. 2024 (Sapiens); Loper et al. 2015 (SMPL).
