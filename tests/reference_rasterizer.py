"""Dense float64 rasteriser in plain torch: every Gaussian against every pixel, autograd gradients.

Written from the equations and gsplat 1.5.3's rules, without tiles, boxes or kernels, so that it
shares nothing with what it checks. Memory is N x pixels: keep scenes small.
"""

import torch
from torch import Tensor

ALPHA_MIN, ALPHA_MAX, T_STOP, EXTENT = 1 / 255, 0.999, 1e-4, 3.33
EDGE = 1e-3  # relative distance to a cut-off below which float32 may decide otherwise


def rotation_matrix(quats: Tensor) -> Tensor:
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    return torch.stack(
        [
            1 - 2 * (y * y + z * z),
            2 * (x * y - w * z),
            2 * (x * z + w * y),
            2 * (x * y + w * z),
            1 - 2 * (x * x + z * z),
            2 * (y * z - w * x),
            2 * (x * z - w * y),
            2 * (y * z + w * x),
            1 - 2 * (x * x + y * y),
        ],
        -1,
    ).unflatten(-1, (3, 3))


def project(means, covars, view, K, size, eps2d=0.3):
    """Picture means (N,2), covariances (N,2,2) before and after blur, and depths (N,)."""
    width, height = size
    p = means @ view[:3, :3].T + view[:3, 3]
    x, y, z = p.unbind(-1)
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    mx, my = 0.15 * width / fx, 0.15 * height / fy
    tx = z * (x / z).clamp(-cx / fx - mx, (width - cx) / fx + mx)
    ty = z * (y / z).clamp(-cy / fy - my, (height - cy) / fy + my)
    zero = torch.zeros_like(z)
    J = torch.stack([fx / z, zero, -fx * tx / z**2, zero, fy / z, -fy * ty / z**2], -1)
    U = J.unflatten(-1, (2, 3)) @ view[:3, :3]
    sharp = U @ covars @ U.mT
    blurred = sharp + eps2d * torch.eye(2, dtype=sharp.dtype)
    return torch.stack([fx * x / z + cx, fy * y / z + cy], -1), sharp, blurred, z


def composite(mean2d, cov, opacity, features, order, size):
    """Pixels (H,W,X) and alpha (H,W,1) of Gaussians given near to far by `order`.

    Third, (H,W,1): pixels where some pair lies within `EDGE` of a cut-off.
    """
    width, height = size
    ys, xs = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    pixels = torch.stack([xs, ys], -1).to(mean2d).reshape(1, -1, 2)
    d = pixels - mean2d[order][:, None]
    sigma = 0.5 * torch.einsum("npi,nij,npj->np", d, torch.linalg.inv(cov[order]), d)
    alpha = (opacity[order][:, None] * torch.exp(-sigma)).clamp_max(ALPHA_MAX)
    edge = (alpha / ALPHA_MIN - 1).abs() < EDGE
    alpha = torch.where(alpha < ALPHA_MIN, 0.0, alpha)
    after = torch.cumprod(1 - alpha, 0)
    before = torch.cat([torch.ones_like(after[:1]), after[:-1]])
    weight = torch.where(after > T_STOP, alpha * before, 0.0)  # `after` only falls
    edge = (edge | ((after / T_STOP - 1).abs() < EDGE)).any(0)
    out = torch.einsum("np,nk->pk", weight, features[order])
    return (
        out.reshape(height, width, -1),
        weight.sum(0).reshape(height, width, 1),
        edge.reshape(height, width, 1),
    )


def rasterize(
    scene: dict,
    view,
    K,
    size,
    *,
    background=None,
    eps2d=0.3,
    antialiased=False,
    near=0.01,
    far=1e10,
    radius_clip=0.0,
    depth=False,
):
    """One camera. `scene`: means, opacities, colors (N,D), and quats + scales or covars.

    Returns (H,W,X) pixels, (H,W,1) alpha, (H,W,1) edges; with `depth` the last channel is z.
    """
    covars = scene.get("covars")
    if covars is None:
        M = rotation_matrix(scene["quats"]) * scene["scales"][:, None, :]
        covars = M @ M.mT
    mean2d, sharp, cov, z = project(scene["means"], covars, view, K, size, eps2d)
    opacity = scene["opacities"]
    if antialiased:
        opacity = opacity * (torch.linalg.det(sharp) / torch.linalg.det(cov)).clamp_min(0).sqrt()
    extent = (2 * (opacity * 255).clamp_min(1).log()).sqrt().clamp_max(EXTENT)
    radius = (extent[:, None] * cov.diagonal(dim1=1, dim2=2).sqrt()).ceil()
    kept = (z >= near) & (z <= far) & (radius > radius_clip).any(-1)
    kept = torch.nonzero(kept)[:, 0]
    order = kept[torch.argsort(z[kept], stable=True)]
    features = scene["colors"]
    if depth:
        features = torch.cat([features, z[:, None]], -1)
    out, alpha, edge = composite(mean2d, cov, opacity, features, order, size)
    if background is not None:
        back = torch.nn.functional.pad(background, (0, out.shape[-1] - len(background)))
        out = out + (1 - alpha) * back
    return out, alpha, edge
