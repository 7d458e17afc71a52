"""The tile rasteriser one would write in plain torch: a loop over tiles, all else vectorised.

It obeys gsplat's rules, so that its pictures equal ours; autograd makes the backward pass. It takes
gsplat's first nine arguments, one camera, quaternions and scales, and plain colours.
"""

import torch
from jaxtyping import Float
from torch import Tensor

ALPHA_MIN, ALPHA_MAX, T_STOP, EPS2D, NEAR = 1 / 255, 0.999, 1e-4, 0.3, 0.01
TILE = 32  # pixels; 16 is slower here: more tiles, and each costs some 30 torch calls


def rasterization(  # noqa: PLR0913 - gsplat's signature
    means: Float[Tensor, "N 3"],
    quats: Float[Tensor, "N 4"],
    scales: Float[Tensor, "N 3"],
    opacities: Float[Tensor, " N"],
    colors: Float[Tensor, "N D"],
    viewmats: Float[Tensor, "1 4 4"],
    Ks: Float[Tensor, "1 3 3"],
    width: int,
    height: int,
) -> tuple[Float[Tensor, "1 H W D"], Float[Tensor, "1 H W 1"], dict[str, int]]:
    """Picture, alpha, and a dictionary with the number of pixel-Gaussian pairs."""
    mean2d, cov, depth = _project(means, quats, scales, viewmats[0], Ks[0], (width, height))
    # Half width and height of the box outside which alpha is below ALPHA_MIN.
    half = (
        2
        * cov.diagonal(dim1=1, dim2=2).detach()
        * (opacities.detach()[:, None] / ALPHA_MIN).clamp_min(1).log()
    ).sqrt()
    order = torch.argsort(depth.detach())
    order = order[(depth[order] > NEAR) & (opacities[order] >= ALPHA_MIN)]
    splats = [t[order] for t in (mean2d, torch.linalg.inv(cov), opacities, colors)]
    low, high = (mean2d.detach() - half)[order], (mean2d.detach() + half)[order]
    rows, pairs = [], 0
    for top in range(0, height, TILE):
        row = []
        for left in range(0, width, TILE):
            size = min(TILE, width - left), min(TILE, height - top)
            corner = torch.tensor([left, top])
            near = ((low < corner + torch.tensor(size)) & (high > corner)).all(1).nonzero()[:, 0]
            tile, count = _composite([t[near] for t in splats], corner, size)
            row.append(tile)
            pairs += count
        rows.append(torch.cat(row, 1))
    picture = torch.cat(rows)[None]
    return picture[..., :-1], picture[..., -1:], {"pairs": pairs}


def _project(
    means: Float[Tensor, "N 3"],
    quats: Float[Tensor, "N 4"],
    scales: Float[Tensor, "N 3"],
    view: Float[Tensor, "4 4"],
    K: Float[Tensor, "3 3"],
    size: tuple[int, int],
) -> tuple[Float[Tensor, "N 2"], Float[Tensor, "N 2 2"], Float[Tensor, " N"]]:
    """Means in the picture, blurred covariances, depths. Source: Zwicker et al. 2001."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    R = torch.stack(
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
    )
    p = means @ view[:3, :3].T + view[:3, 3]
    depth = p[:, 2]
    focal, centre = torch.stack([K[0, 0], K[1, 1]]), K[:2, 2]
    slope = p[:, :2] / depth[:, None]
    reach = torch.tensor(size) / focal
    slope_in = slope.clamp(-centre / focal - 0.15 * reach, reach - centre / focal + 0.15 * reach)
    J = torch.cat(
        [torch.diag_embed(focal / depth[:, None]), (-focal * slope_in / depth[:, None])[..., None]],
        -1,
    )
    # cov = J V R S S^T R^T V^T J^T (3DGS, equations 5 and 6), and the blur
    M = J @ view[:3, :3] @ (R.unflatten(-1, (3, 3)) * scales[:, None])
    return focal * slope + centre, M @ M.mT + EPS2D * torch.eye(2), depth


def _composite(
    splats: list[Tensor], corner: Tensor, size: tuple[int, int]
) -> tuple[Float[Tensor, "h w X"], int]:
    """One tile, splats near to far: colours and alpha, and how many pairs took part."""
    mean, conic, opacity, colors = splats
    ys, xs = torch.meshgrid(torch.arange(size[1]), torch.arange(size[0]), indexing="ij")
    pixels = torch.stack([xs, ys], -1).reshape(-1, 2) + corner + 0.5
    d = pixels[None] - mean[:, None]
    power = (
        0.5 * (conic[:, 0, 0, None] * d[..., 0] ** 2 + conic[:, 1, 1, None] * d[..., 1] ** 2)
        + conic[:, 0, 1, None] * d[..., 0] * d[..., 1]
    )
    alpha = (opacity[:, None] * torch.exp(-power)).clamp_max(ALPHA_MAX)
    alpha = torch.where(alpha >= ALPHA_MIN, alpha, 0)
    after = torch.cumprod(1 - alpha, 0)  # light that passes each splat, (splats, pixels)
    before = torch.cat([torch.ones_like(pixels[None, :, 0]), after[:-1]])[: len(after)]
    # A pixel is full at T_STOP: the splat that would fill it is left out, and all behind it.
    weight = torch.where(after > T_STOP, alpha * before, 0)
    out = torch.cat([weight.T @ colors, weight.sum(0)[:, None]], 1)
    return out.reshape(size[1], size[0], -1), int((weight > 0).sum())
