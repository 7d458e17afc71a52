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
# # Gaussian splatting by hand
#
# This notebook runs on a CPU in under a minute. It needs nothing but the installed `toolkit`.
#
# photo → body → coarse Gaussians → **render** → SDEdit → refit
#
# Every arrow after the third one renders, and the refit also sends gradients back through the
# renderer. You will
#
# - project ten Gaussians into a picture, sort them and blend them, in forty lines;
# - derive the backward pass, which walks from front to back and needs no list of pairs;
# - check each step against `toolkit.render`, the rasteriser of the other notebooks;
# - measure in dB what each approximation of the method costs.

# %% tags=["parameters"]
profile = "embedded"  # no full variant: it opens our CPU rasteriser; gsplat has the same formulas
seed = 3  # of the ten Gaussians
out_dir = "../runs/splatting"  # folder for the figures
fast = False  # a smaller person in the last part, for tests

# %%
from pathlib import Path

import torch
from torch.nn.functional import normalize

from toolkit import Gaussians, cameras, show
from toolkit.body import Rig, a_pose, load_body, pose_gaussians, sample_anchors
from toolkit.render import rasterization, render

assert profile == "embedded", "no full variant"
print(f"profile {profile}: the renderer here is float32, our own steps are float64")

# %% [markdown]
# ## Ten Gaussians
# A Gaussian has a centre $\mu$, a covariance $\Sigma = R S S^\top R^\top$, an opacity $o$ and a
# colour $c$. $R$ is the rotation of a quaternion, and $S$ is the diagonal matrix of standard
# deviations. Because $\Sigma$ is written as a product, it stays positive whatever an optimiser does
# to its parts.

# %%
generator = torch.Generator().manual_seed(seed)
draw = {"generator": generator, "dtype": torch.float64}
means = 0.35 * torch.randn(10, 3, **draw)
quats = torch.randn(10, 4, **draw)
scales = 0.05 + 0.25 * torch.rand(10, 3, **draw) ** 2
opacities = 0.5 + 0.45 * torch.rand(10, **draw)
colors = torch.rand(10, 3, **draw)
width, height = 256, 192
camera = cameras.orbit_cameras(
    torch.tensor([20.0]), 15.0, radius_m=2.6, fov_y_deg=35.0, size=(height, width)
)
view, K = camera.viewmats[0].double(), camera.Ks[0].double()
scene = [t.float() for t in (means, quats, scales, opacities, colors)]
library, _, meta = rasterization(*scene, camera.viewmats, camera.Ks, width, height)
show.picture_row(library[0], height_px=300)

# %% [markdown]
# ## Projection
# The camera has a rotation $W$ and a translation $t$. The centre lands at $p = W\mu + t$, which is
# $(f_x p_x / p_z + c_x,\; f_y p_y / p_z + c_y)$ in pixels. Perspective turns a Gaussian into
# something that is no Gaussian any more. EWA splatting therefore replaces perspective by its
# tangent at the centre, the Jacobian
#
# $$J = \begin{pmatrix} f_x/p_z & 0 & -f_x p_x/p_z^2 \\ 0 & f_y/p_z & -f_y p_y/p_z^2 \end{pmatrix},
# \qquad \Sigma' = J W \Sigma W^\top J^\top + 0.3\, I \tag{1}$$
#
# The added $0.3$ px² makes sure that no splat falls between pixels.


# %%
def rotations(quats):
    w, x, y, z = normalize(quats, dim=-1).unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    ]
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


# %%
def project(means, quats, scales, view, K, eps2d=0.3):
    """Centres (N,2) in pixels, covariances (N,2,2), depths (N,)."""
    p = means @ view[:3, :3].T + view[:3, 3]
    x, y, z = p.unbind(-1)
    fx, fy, zero = K[0, 0], K[1, 1], torch.zeros_like(z)
    J = torch.stack([fx / z, zero, -fx * x / z**2, zero, fy / z, -fy * y / z**2], -1)
    M = J.unflatten(-1, (2, 3)) @ view[:3, :3] @ (rotations(quats) * scales[:, None])
    centres = torch.stack([fx * x / z + K[0, 2], fy * y / z + K[1, 2]], -1)
    return centres, M @ M.mT + eps2d * torch.eye(2).to(M), z


centres, covs, depths = project(means, quats, scales, view, K)
inverse = torch.linalg.inv(covs)
conics = torch.stack([inverse[:, 0, 0], inverse[:, 0, 1], inverse[:, 1, 1]], -1)
for name, mine in (("means2d", centres), ("depths", depths), ("conics", conics)):
    print(f"{name:8} differs by {(meta[name][0] - mine).abs().max():.1e} from the library's")

# %% [markdown]
# Left: the ellipses of one standard deviation. Right: boxes of 3.33 standard deviations. At this
# distance $e^{-3.33^2/2} < 1/255$, and a fainter contribution is invisible in 8 bits. The grid
# shows the tiles that we use below.

# %%
fig = show.figure(1100, 420)
for k, size in enumerate((1.0, 3.33)):
    ax = fig.add_subplot(1, 2, k + 1)
    ax.imshow(library[0], extent=(0, width, height, 0))
    for centre, cov, color in zip(centres, covs, colors, strict=True):
        value, vector = torch.linalg.eigh(cov)
        t = torch.linspace(0, 2 * torch.pi, 60, dtype=torch.float64)
        ring = centre + (size * value.sqrt() * torch.stack([t.cos(), t.sin()], -1)) @ vector.T
        ax.plot(*ring.T, color=tuple(color.tolist()) if k == 0 else show.FAINT, lw=1.5)
        half = size * cov.diagonal().sqrt()
        if k:
            corner = centre[:, None] + half[:, None] * torch.tensor(
                [[-1, 1, 1, -1, -1.0], [-1, -1, 1, 1, -1]]
            )
            ax.plot(*corner, color=show.STAGE_COLORS[1], lw=1)
    ax.set(
        xlim=(0, width),
        ylim=(height, 0),
        title=("one standard deviation", "3.33 of them")[k],
        xticks=range(0, width + 1, 32),
        yticks=range(0, height + 1, 32),
    )
    ax.grid(color=show.FAINT, lw=0.4)
fig.tight_layout()
show.save_figure(fig, Path(out_dir) / "ellipses.png")
show.picture_row(show.figure_pixels(fig), height_px=420)

# %% [markdown]
# ## Sorting and blending
# At a pixel $u$, with $d = u - \mu'$, a splat covers
# $\alpha_i = \min(0.999,\; o_i\, e^{-\frac12 d^\top \Sigma'^{-1} d})$. From near to far, each splat
# takes its share of the light that is left:
#
# $$C = \sum_i c_i\, \alpha_i T_i + T_\text{end}\, c_\text{back}, \qquad
# T_i = \prod_{j<i} (1 - \alpha_j). \tag{2}$$
#
# Two cuts make this fast. A splat with $\alpha < 1/255$ is skipped, and a pixel is full once
# $T \le 10^{-4}$.


# %%
def pixel_grid(width, height):
    ys, xs = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([xs, ys], -1).reshape(-1, 2).double() + 0.5  # centres of pixels


def blend(alpha, colors, *, cut=1 / 255, stop=1e-4):
    """Colours (P,3) of alphas (N,P), near to far, and the weights (N,P)."""
    alpha = torch.where(alpha < cut, 0.0, alpha.clamp_max(0.999))
    after = torch.cumprod(1 - alpha, 0)
    before = torch.cat([torch.ones_like(after[:1]), after[:-1]])
    weights = torch.where(after > stop, alpha * before, 0.0)
    if colors.ndim == 2:  # one colour for all pixels
        return weights.T @ colors, weights
    return (weights[..., None] * colors).sum(0), weights


def coverage_of(centres, covs, opacities, pixels):
    d = pixels - centres[:, None]
    return opacities[:, None] * torch.exp(-0.5 * (d @ torch.linalg.inv(covs) * d).sum(-1))


order = depths.argsort()
alpha = coverage_of(centres[order], covs[order], opacities[order], pixel_grid(width, height))
mine, weights = blend(alpha, colors[order])
mine = mine.reshape(height, width, 3)
worst = (mine - library[0]).abs().max()
print(f"largest difference to the library: {worst:.1e}")
show.picture_row(mine, library[0], show.difference_map(mine, library[0], scale=1e6), height_px=230)

# %% [markdown]
# Left: our picture. Middle: the library's. Right: their difference, enlarged a million times; it is
# float32 rounding.

# %% [markdown]
# ## Tiles
# We can afford ten Gaussians times all pixels, but not 40,000. So the picture is cut into tiles of
# 32 px. There is **one** sort by depth; then each splat is appended to the list of every tile that
# it touches. In this way all lists are in depth order without a sort of their own.
#
# gsplat's `meta` contains these lists: the splats of tile `t`, near to far, are `flatten_ids` from
# `isect_offsets[t]` to `isect_offsets[t + 1]`.
#
# **Guess** from the boxes above: how many tiles does the largest Gaussian touch?

# %% tags=["nbval-check-output"]
offsets = torch.cat([meta["isect_offsets"].flatten(), torch.tensor([len(meta["flatten_ids"])])])
lists = [
    meta["flatten_ids"][a:b].tolist()
    for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
]
lengths = offsets.diff().reshape(meta["tile_height"], meta["tile_width"])
rank = depths.argsort().argsort()
assert all(rank[ids].diff().gt(0).all() for ids in lists), "a tile is not in depth order"
pairs = {
    "all pairs": alpha.numel(),
    "in tiles": int(lengths.sum()) * 32 * 32,
    "visible": int((weights > 0).sum()),
}
print(lengths)
print(*(f"{name} {count:,}" for name, count in pairs.items()), sep="; ")
print("tiles of each Gaussian:", meta["tiles_per_gauss"][0].tolist())

# %% [markdown]
# ## The backward pass
# Let $v = \partial L/\partial C$ be the gradient at one pixel, and $q_i = c_i \cdot v$. A splat
# adds $\alpha_i T_i q_i$, and it darkens everything behind it:
#
# $$\frac{\partial L}{\partial \alpha_i} = T_i\, q_i - \frac{R_i}{1-\alpha_i}, \qquad
# R_i = \sum_{j>i} \alpha_j T_j\, q_j + T_\text{end}\, c_\text{back}\!\cdot v. \tag{3}$$
#
# Before the first splat, $R$ is $C \cdot v$, which we know from the forward picture. Each splat
# then takes $\alpha_i T_i q_i$ away from $R$. So the backward walk also goes from front to back,
# makes the same decisions, and needs nothing stored but the picture.

# %% [markdown]
# From $\alpha$ the gradient goes on to the splat. With $\sigma = \frac12 d^\top Q d$ and
# $Q = \Sigma'^{-1}$,
#
# $$\frac{\partial L}{\partial \mu'} = \sum_u \frac{\partial L}{\partial\alpha}\,\alpha\, Q d, \quad
# \frac{\partial L}{\partial Q} = -\sum_u \frac{\partial L}{\partial\alpha}\,\alpha\,
# \tfrac12 d d^\top, \quad \frac{\partial L}{\partial o} =
# \sum_u \frac{\partial L}{\partial\alpha}\, \frac{\alpha}{o}. \tag{4}$$


# %%
def backward(splats, pixels, picture, v):
    """Gradients of centres, opacities and colours from v (P,3), walking near to far."""
    T = torch.ones(len(pixels), dtype=torch.float64)
    R = (picture * v).sum(-1)
    grads = {"centres": [], "opacities": [], "colors": []}
    for centre, Q, opacity, color in zip(*splats, strict=True):
        d = pixels - centre
        alpha = opacity * torch.exp(-0.5 * (d @ Q * d).sum(-1))
        hit = (alpha >= 1 / 255) & (T > 0)
        full = hit & (T * (1 - alpha) <= 1e-4)
        weight = torch.where(hit & ~full, alpha * T, 0.0)
        q = v @ color
        R = R - weight * q
        slope = torch.where(weight > 0, T * q - R / (1 - alpha), 0.0)  # Eq. 3
        T = torch.where(full, 0.0, T - weight)
        grads["centres"].append((slope * alpha) @ (d @ Q))  # Eq. 4
        grads["opacities"].append((slope * alpha).sum() / opacity)
        grads["colors"].append(weight @ v)
    return {name: torch.stack(rows) for name, rows in grads.items()}


# %% [markdown]
# The loss is the mean squared difference to the mirrored picture. We compute its gradient in three
# ways: by our function, by autograd through the forward pass that we wrote by hand, and by the
# library's `backward()`.

# %%
target = mine.flip(1)
v = (2 * (mine - target) / mine.numel()).reshape(-1, 3)
splats = [t[order] for t in (centres, inverse, opacities, colors)]
by_hand = backward(splats, pixel_grid(width, height), mine.reshape(-1, 3), v)

leaves = [t.clone().requires_grad_() for t in (centres, opacities, colors)]
again, _ = blend(
    coverage_of(leaves[0][order], covs[order], leaves[1][order], pixel_grid(width, height)),
    leaves[2][order],
)
(again.reshape_as(target) - target).square().mean().backward()

inputs = [t.requires_grad_() for t in scene]
picture, _, info = rasterization(*inputs, camera.viewmats, camera.Ks, width, height)
info["means2d"].retain_grad()
(picture[0] - target.float()).square().mean().backward()
theirs = info["means2d"].grad[0], inputs[3].grad, inputs[4].grad
for (name, g), leaf, other in zip(by_hand.items(), leaves, theirs, strict=True):
    errors = [(x[order] - g).abs().max() / g.abs().max() for x in (leaf.grad, other)]
    print(f"{name:10} hand against autograd {errors[0]:.0e}, against the library {errors[1]:.0e}")

# %% [markdown]
# The chain rule through Eq. 1 leads from $\mu'$ and $\Sigma'$ back to $\mu$, the quaternion and the
# scales; `toolkit/render/cpu/project_backward.py` computes it.
#
# One Gaussian gets gradients from many tiles. Each (Gaussian, tile) pair therefore owns a row, and
# the rows are added up in a fixed order. This needs no locks, and every run gives the same bits.

# %% [markdown]
# ## What each approximation costs
# We use a small person of flat splats, coloured by the direction of the skin, and compare with
# three exact pictures:
#
# - for both cuts: the picture without cuts, in float64;
# - for *affine*: the exact response along the ray of each pixel. In the space where a Gaussian is a
#   unit ball, the distance of the ray from its centre is $|o' \times d'| / |d'|$;
# - for *one order*: each pixel sorts by the depth at which its own ray comes nearest to each
#   Gaussian, as StopThePop does.

# %%
body = load_body()
num = 600 if fast else 1500
surface = sample_anchors(body, num)
rig = Rig.build(body, surface, torch.zeros(body.num_betas))
x, y, z = surface.normals.unbind(-1)
turned = normalize(torch.stack([1 + z, -y, x, 0 * z], -1), dim=-1)  # +z onto the normal
spacing = torch.cdist(surface.points, surface.points).topk(5, largest=False).values[:, 1:].mean(1)
flat = spacing[:, None] * torch.tensor([0.67, 0.67, 0.28])
person = Gaussians.from_colors(
    rig.anchors_rest, turned, flat, torch.full((num,), 0.95), 0.5 + 0.5 * surface.normals
)
person = pose_gaussians(person, rig, a_pose())
middle = (person.means.amin(0) + person.means.amax(0)) / 2
person = person.replace(means=person.means - middle)
px = 64 if fast else 80
lens = cameras.orbit_cameras(torch.tensor([20.0]), 5.0, radius_m=2.6, fov_y_deg=42.0, size=(px, px))
show.picture_row(
    render(person, lens.resized(384, 384)).rgb[0], render(person, lens).rgb[0], height_px=384
)


# %%
def ray_response(person, view, K, pixels):
    """Exponents -1/2 dist^2 (N,P) along each pixel's ray, and the depth where it is nearest."""
    rays = torch.cat([(pixels - K[:2, 2]) / K.diagonal()[:2], torch.ones(len(pixels), 1)], 1)
    rays, eye = rays.double() @ view[:3, :3], -view[:3, :3].T @ view[:3, 3]
    to_ball = (rotations(person.quats.double()) / person.scales.double()[:, None]).mT
    start = (to_ball @ (eye - person.means.double())[..., None])[:, None, :, 0]
    along = rays @ to_ball.mT
    length = along.square().sum(-1)
    nearest = -(start * along).sum(-1) / length  # depth, since rays have z = 1
    return -0.5 * (start.square().sum(-1) - nearest.square() * length).clamp_min(0), nearest


def psnr(a, b):
    return float(-10 * (a - b).square().mean().log10())


view64, K64, grid = lens.viewmats[0].double(), lens.Ks[0].double(), pixel_grid(px, px)
shape = person.means.double(), person.quats.double(), person.scales.double()
opaque, tint = person.opacities.double(), person.colors.double()


# %%
def splatted(eps2d, **cuts):
    """Colours (P,3) of the person by our own code; `cuts` goes to `blend`."""
    centres, covs, depths = project(*shape, view64, K64, eps2d)
    order = depths.argsort()
    alpha = coverage_of(centres[order], covs[order], opaque[order], grid)
    return blend(alpha, tint[order], **cuts)[0]


attributes = person.means, person.quats, person.scales, person.opacities, person.colors
kernel = rasterization(*attributes, lens.viewmats, lens.Ks, px, px)[0].double().reshape(-1, 3)
exact = splatted(0.3, cut=0, stop=0)
costs = {
    "alpha below 1/255 skipped": psnr(splatted(0.3, stop=0), exact),
    "full at T = 1e-4": psnr(splatted(0.3, cut=0), exact),
    "float32, same cuts (library)": psnr(kernel, splatted(0.3)),
}
exponent, nearest = ray_response(person, view64, K64, grid)
along_rays = opaque[:, None] * exponent.exp()
by_centre = project(*shape, view64, K64)[2].argsort()
traced = blend(along_rays[by_centre], tint[by_centre], cut=0, stop=0)[0]
costs["affine instead of perspective"] = psnr(splatted(0.0, cut=0, stop=0), traced)
own_order = nearest.argsort(0)
resorted = blend(along_rays.gather(0, own_order), tint[own_order], cut=0, stop=0)[0]
costs["one order for all pixels"] = psnr(traced, resorted)

# %% [markdown]
# The blur of Eq. 1 is a different case: it stands for the area of a pixel. So here we compare with
# the mean of 8 x 8 samples in each pixel. The *classic* blur makes thin splats wider. The
# *antialiased* one (Mip-Splatting) also lowers their opacity by $\sqrt{|\Sigma| / |\Sigma'|}$ in
# exchange. **Guess:** which of them wins here, where splats overlap?

# %%
fine = render(person, lens.resized(8 * px, 8 * px), antialiased=False).rgb[0]
area_mean = fine.reshape(px, 8, px, 8, 3).mean((1, 3))
views = {
    name: render(person, lens, antialiased=name == "antialiased").rgb[0]
    for name in ("classic", "antialiased")
}
costs |= {f"0.3 px² blur, {name}": psnr(v, area_mean) for name, v in views.items()}
for name, value in sorted(costs.items(), key=lambda item: item[1]):
    print(f"{name:34}{value:6.1f} dB")
show.picture_row(
    area_mean,
    *views.values(),
    *(show.difference_map(area_mean, v, scale=3) for v in views.values()),
    height_px=200,
)

# %%
fig = show.figure(900, 320)
ax = fig.add_subplot()
names = sorted(costs, key=costs.get)
ax.barh(names, [costs[n] for n in names], color=show.STAGE_COLORS[0])
ax.axvline(48.1, color=show.STAGE_COLORS[1], lw=1.5)
ax.text(48.6, -0.35, "one 8-bit step off everywhere", color=show.STAGE_COLORS[1], fontsize=9.5)
ax.set_xlabel("PSNR against the exact picture, dB (longer is better)", color=show.INK)
show.quiet_axes(ax)
fig.tight_layout()
show.save_figure(fig, Path(out_dir) / "costs.png")
show.picture_row(show.figure_pixels(fig), height_px=320)

# %%
# Check: all of this also holds in the fast profile
assert worst < 1e-4, "our picture is not the library's"
assert all(
    (x[order] - g).abs().max() < 1e-3 * g.abs().max()
    for (_, g), x in zip(by_hand.items(), theirs, strict=True)
), "gradients differ"
assert costs["float32, same cuts (library)"] > costs["full at T = 1e-4"]
assert costs["alpha below 1/255 skipped"] > 45 > costs["0.3 px² blur, classic"]
assert pairs["visible"] < pairs["in tiles"] < pairs["all pairs"]
print("all checks passed")

# %% [markdown]
# ## Exercises
# 1. Put the camera at 0.8 m. Which of the costs grows, and why this one?
# 2. Extend `backward` by the gradient of the covariances (the second part of Eq. 4). Compare it
#    with `info["conics"].grad` after `retain_grad()`. Note that `conics` holds $Q_{xy}$ once, not
#    twice.
# 3. Give two Gaussians the same centre and turn the camera. What does the sort do, and what would
#    the person's hair look like if this happened often?

# %% [markdown]
# ## Recap
# Project by the tangent of perspective (Eq. 1), sort once, make a list per tile, and blend from
# near to far (Eq. 2). The backward pass walks the same way again and needs only the picture (Eq. 3,
# 4). Written to disk: two figures in `out_dir`.
#
# *Zwicker et al. 2001 (EWA splatting); Kerbl et al. 2023 (3D Gaussian splatting); Yu et al. 2024
# (Mip-Splatting); Radl et al. 2024 (StopThePop); `toolkit.render`.*
