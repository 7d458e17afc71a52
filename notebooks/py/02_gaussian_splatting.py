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
# Runs on a CPU in under a minute; needs nothing but the installed `toolkit`.
#
# photo → body → coarse Gaussians → **render** → SDEdit → refit. Every arrow after the third
# renders, and the refit sends gradients back through the renderer. Here you
#
# - project ten Gaussians into a picture, sort them, and blend them, in forty lines;
# - derive the backward pass, which walks front to back and stores no list of pairs;
# - check each step against `toolkit.render`, the rasteriser that the other notebooks use;
# - measure in dB what each approximation of the method costs.

# %% tags=["parameters"]
profile = "embedded"  # the CPU rasteriser; "full" means gsplat, with the same formulas
seed = 3  # of the ten Gaussians
out_dir = "../runs/splatting"  # where the figures go
fast = False  # a smaller person in the last part, for tests

# %%
from pathlib import Path

import torch
from torch.nn.functional import normalize

from toolkit import cameras
from toolkit.body import anchors, model, motion, rig
from toolkit.gaussians import Gaussians
from toolkit.render import api
from toolkit.show import figures as show
from toolkit.show.viewer import picture_row

print(f"profile {profile}: the renderer here is float32, our own steps are float64")

# %% [markdown]
# ## Ten Gaussians
# A Gaussian is a centre $\mu$, a covariance $\Sigma = R S S^\top R^\top$ (rotation from a
# quaternion, $S$ the diagonal of standard deviations), an opacity $o$ and a colour $c$. Writing
# $\Sigma$ as a product keeps it positive whatever an optimiser does to its parts.

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
library, coverage, meta = api.rasterization(*scene, camera.viewmats, camera.Ks, width, height)
picture_row(library[0], height_px=300)

# %% [markdown]
# ## Projection
# With the camera's $W$ (rotation) and $t$, the centre lands at $p = W\mu + t$, in pixels
# $(f_x p_x / p_z + c_x,\; f_y p_y / p_z + c_y)$. Perspective bends a Gaussian into something else;
# EWA splatting replaces it by its tangent at the centre, the Jacobian
#
# $$J = \begin{pmatrix} f_x/p_z & 0 & -f_x p_x/p_z^2 \\ 0 & f_y/p_z & -f_y p_y/p_z^2 \end{pmatrix},
# \qquad \Sigma' = J W \Sigma W^\top J^\top + 0.3\, I \tag{1}$$
#
# and adds $0.3$ px² so that no splat falls between pixels.


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
# The ellipses are one standard deviation, the boxes 3.33 of them: there $e^{-3.33^2/2} < 1/255$,
# and a fainter contribution is invisible in 8 bits. The grid is that of the tiles below.

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
picture_row(show.figure_pixels(fig), height_px=420)

# %% [markdown]
# ## Sorting and blending
# At a pixel $u$, with $d = u - \mu'$, a splat covers
# $\alpha_i = \min(0.999,\; o_i\, e^{-\frac12 d^\top \Sigma'^{-1} d})$. Near to far, each
# takes its share of the light that is left:
#
# $$C = \sum_i c_i\, \alpha_i T_i + T_\text{end}\, c_\text{back}, \qquad
# T_i = \prod_{j<i} (1 - \alpha_j). \tag{2}$$
#
# Two cuts make it fast: $\alpha < 1/255$ is skipped, and a pixel is full once $T \le 10^{-4}$.


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
picture_row(mine, library[0], show.difference_map(mine, library[0], scale=1e6), height_px=230)

# %% [markdown]
# Left: ours. Middle: the library. Right: their difference, a million times enlarged (float32
# rounding).
#
# ## Tiles
# Ten Gaussians times all pixels is affordable, 40,000 are not. The picture is cut into 32 px tiles;
# **one** sort by depth, then each splat is appended to the list of every tile it touches, so all
# lists are in order without a sort of their own. gsplat's `meta` gives the lists: `flatten_ids`
# from `isect_offsets[t]` to `isect_offsets[t + 1]` are the splats of tile `t`, near to far.
# **Guess** from the boxes above: how many tiles does the largest Gaussian touch?

# %%
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
# Let $v = \partial L/\partial C$ be the gradient at one pixel and $q_i = c_i \cdot v$. A splat adds
# $\alpha_i T_i q_i$, and dims all that lies behind it:
#
# $$\frac{\partial L}{\partial \alpha_i} = T_i\, q_i - \frac{R_i}{1-\alpha_i}, \qquad
# R_i = \sum_{j>i} \alpha_j T_j\, q_j + T_\text{end}\, c_\text{back}\!\cdot v. \tag{3}$$
#
# $R$ before the first splat is $C \cdot v$, known from the forward picture, and each splat takes
# $\alpha_i T_i q_i$ away. So the walk is front to back again, with the same decisions, and needs
# nothing stored but the picture. From $\alpha$ to the splat: with $\sigma = \frac12 d^\top Q d$ and
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
# The loss is the mean squared distance to the mirrored picture. Three ways to its gradient: ours,
# autograd through the hand-written forward pass, and the library's `backward()`.

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

given = [t.requires_grad_() for t in scene]
picture, _, info = api.rasterization(*given, camera.viewmats, camera.Ks, width, height)
info["means2d"].retain_grad()
(picture[0] - target.float()).square().mean().backward()
theirs = info["means2d"].grad[0], given[3].grad, given[4].grad
for (name, g), leaf, other in zip(by_hand.items(), leaves, theirs, strict=True):
    errors = [(x[order] - g).abs().max() / g.abs().max() for x in (leaf.grad, other)]
    print(f"{name:10} hand against autograd {errors[0]:.0e}, against the library {errors[1]:.0e}")

# %% [markdown]
# From $\mu'$ and $\Sigma'$ back to $\mu$, the quaternion and the scales the chain rule runs through
# Eq. 1; `toolkit/render/cpu/project_scales.py` has it, eight Gaussians at a time. Gradients of one Gaussian come
# from many tiles: each (Gaussian, tile) pair owns a row, and rows are added in a fixed order. No
# locks, and the same bits on every run.
#
# ## What each approximation costs
# A small person of flat splats, coloured by the direction of the skin. The yardstick for the first
# group is the picture without the cut, in float64. For *affine* it is the exact response along each
# pixel's ray: in the space where a Gaussian is a unit ball, the ray's distance from its centre,
# $|o' \times d'| / |d'|$. For *one order* every pixel sorts by the depth at which its own ray comes
# nearest, as StopThePop does.

# %%
body = model.load_body()
num = 600 if fast else 1500
surface = anchors.sample_anchors(body, num)
bones = rig.Rig.build(body, surface, torch.zeros(body.num_betas))
x, y, z = surface.normals.unbind(-1)
turned = normalize(torch.stack([1 + z, -y, x, 0 * z], -1), dim=-1)  # +z onto the normal
spacing = torch.cdist(surface.points, surface.points).topk(5, largest=False).values[:, 1:].mean(1)
flat = spacing[:, None] * torch.tensor([0.67, 0.67, 0.28])
person = Gaussians.from_colors(
    bones.anchors_rest, turned, flat, torch.full((num,), 0.95), 0.5 + 0.5 * surface.normals
)
person = rig.pose_gaussians(person, bones, motion.a_pose())
middle = (person.means.amin(0) + person.means.amax(0)) / 2
person = person.replace(means=person.means - middle)
px = 64 if fast else 80
lens = cameras.orbit_cameras(torch.tensor([20.0]), 5.0, radius_m=2.6, fov_y_deg=42.0, size=(px, px))
picture_row(
    api.render(person, lens.resized(384, 384)).rgb[0],
    api.render(person, lens).rgb[0],
    height_px=384,
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
    centres, covs, depths = project(*shape, view64, K64, eps2d)
    order = depths.argsort()
    alpha = coverage_of(centres[order], covs[order], opaque[order], grid)
    return blend(alpha, tint[order], **cuts)[0]


exact = splatted(0.3, cut=0, stop=0)
kernel = (
    api.rasterization(
        person.means,
        person.quats,
        person.scales,
        person.opacities,
        person.colors,
        lens.viewmats,
        lens.Ks,
        px,
        px,
    )[0]
    .double()
    .reshape(-1, 3)
)
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
# The blur of Eq. 1 is different: it is meant to stand for the pixel's area. The yardstick is then
# the mean of 8 x 8 samples in each pixel. *Classic* fattens thin splats; *antialiased*
# (Mip-Splatting) lowers their opacity by $\sqrt{|\Sigma| / |\Sigma'|}$ in exchange. **Guess** which
# wins here, where splats overlap.

# %%
fine = api.render(person, lens.resized(8 * px, 8 * px), antialiased=False).rgb[0]
area_mean = fine.reshape(px, 8, px, 8, 3).mean((1, 3))
views = {
    name: api.render(person, lens, antialiased=name == "antialiased").rgb[0]
    for name in ("classic", "antialiased")
}
costs |= {f"0.3 px² blur, {name}": psnr(v, area_mean) for name, v in views.items()}
for name, value in sorted(costs.items(), key=lambda item: item[1]):
    print(f"{name:34}{value:6.1f} dB")
picture_row(
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
picture_row(show.figure_pixels(fig), height_px=320)

# %%
# Check: these hold in the fast profile too
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
# 1. Put the camera at 0.8 m. Which of the costs grows, and why that one?
# 2. Give `backward` the gradient of the covariances (the second part of Eq. 4) and compare it with
#    `info["conics"].grad` after `retain_grad()`. Mind that `conics` holds $Q_{xy}$ once, not twice.
# 3. Give two Gaussians the same centre and turn the camera: what does the sort do, and what would
#    the person's hair look like if this happened often?
#
# ## Recap
# Project by the tangent of perspective (Eq. 1), sort once, list per tile, blend near to far
# (Eq. 2), and walk the same way back with the picture as only memory (Eq. 3, 4). Written to disk:
# two figures in `out_dir`.
#
# *Zwicker et al. 2001 (EWA splatting); Kerbl et al. 2023 (3D Gaussian splatting); Yu et al. 2024
# (Mip-Splatting); Radl et al. 2024 (StopThePop); `toolkit.render.api.rasterization`.*
