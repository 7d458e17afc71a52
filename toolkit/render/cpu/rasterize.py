"""`rasterization` on the CPU: the flow of the data from Gaussians to pictures.

    Projection           means, shapes, cameras  ->  radii, means2d, depths, conics, compensations
    spherical_harmonics  coefficients, cameras   ->  colours
    composite            all of these            ->  pictures, alphas

Letters: B batch entries, C cameras in each, I = B C images, N Gaussians, X channels. Everything is
computed in float32.
"""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.render.cpu.compositing import composite
from toolkit.render.cpu.meta import Meta
from toolkit.render.cpu.projection import Lens, Projection
from toolkit.render.cpu.tiles import TILE_H, TILE_W
from toolkit.render.harmonics import spherical_harmonics


def rasterize_on_cpu(
    arguments: dict,
) -> tuple[Float[Tensor, "*B C H W X"], Float[Tensor, "*B C H W 1"], Meta]:
    """What `toolkit.render.rasterizer.rasterization` returns for tensors on the CPU.

    Args:
        arguments: all arguments of `rasterization` by name, already checked.
    """
    means, viewmats = arguments["means"], arguments["viewmats"]
    batch, n, num_cameras = means.shape[:-2], means.shape[-2], viewmats.shape[-3]
    num_batches = math.prod(batch)
    num_images = num_batches * num_cameras
    size = width, height = int(arguments["width"]), int(arguments["height"])
    antialiased = arguments["rasterize_mode"] == "antialiased"
    # Batch axes become one, and (batch entry, camera) becomes one axis of images.
    flat_means = means.reshape(num_batches, n, 3)  # (B,N,3)
    views = viewmats.reshape(num_images, 4, 4)  # (I,4,4)
    opacities = arguments["opacities"].reshape(num_batches, n)  # (B,N)

    shapes = _shapes(arguments, (num_batches, n))
    lens = _lens(arguments, antialiased)
    radii, means2d, depths, conics, compensations = Projection.apply(
        flat_means, *shapes, opacities.detach(), views, lens
    )
    if antialiased:
        # Projection blurs every Gaussian by about a pixel, which makes a thin one larger. Its
        # opacity falls in the same measure: thin Gaussians do not fatten in small views. (B,N)
        # becomes (I,N), since the loss of opacity depends on the camera.
        opacities = opacities.repeat_interleave(num_cameras, 0) * compensations
    features = _features(arguments, flat_means, views, depths)  # (F,N,X), F = 1, B or I
    backgrounds = _backgrounds(arguments, features.shape[-1], num_images)

    lead = (*batch, num_cameras)  # the axes that the caller gave
    entries = {
        "radii": radii.reshape(*lead, n, 2),
        "means2d": means2d.reshape(*lead, n, 2),
        "depths": depths.reshape(*lead, n),
        "conics": conics.reshape(*lead, n, 3),
        "opacities": _one_row_per_image(opacities, num_images).reshape(*lead, n),
    }
    # onwards from the tensors in `meta`, so that their retain_grad() sees the gradient
    means2d = entries["means2d"].view(num_images, n, 2)
    conics = entries["conics"].view(num_images, n, 3)
    projected = radii, means2d, depths, conics
    picture, alpha, plans = composite(projected, opacities, features, backgrounds, size)
    picture = _expected_depth(arguments["render_mode"], picture, alpha)
    meta = Meta(entries | _counts(arguments, num_batches, num_cameras), plans)
    picture = picture.reshape(*lead, height, width, -1).to(means.dtype)
    return picture, alpha.reshape(*lead, height, width, 1).to(means.dtype), meta


def _one_row_per_image(rows: Tensor, num_images: int) -> Tensor:
    """Repeat 1, B or I rows to I of them."""
    return rows.repeat_interleave(num_images // len(rows), 0)


def _shapes(arguments: dict, lead: tuple[int, int]) -> tuple[Tensor, Tensor | None]:
    """Quaternions and scales; or the upper triangles of the covariances, and None."""
    covars = arguments["covars"]
    if covars is None:
        return arguments["quats"].reshape(*lead, 4), arguments["scales"].reshape(*lead, 3)
    # A covariance is symmetric: six numbers, row by row (xx, xy, xz, yy, yz, zz).
    rows, columns = [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]
    return covars.reshape(*lead, 3, 3)[..., rows, columns], None


def _lens(arguments: dict, antialiased: bool) -> Lens:
    """Intrinsics and limits as plain numbers; they get no gradient, as in gsplat."""
    Ks = arguments["Ks"].detach().reshape(-1, 3, 3).to(torch.float64).numpy()
    size = np.array([arguments["width"], arguments["height"]], np.float64)
    size = np.broadcast_to(size, (len(Ks), 2))
    fx_fy_cx_cy = Ks[:, [0, 1, 0, 1], [0, 1, 2, 2]]
    limits = (arguments[name] for name in ("near_plane", "far_plane", "eps2d", "radius_clip"))
    return Lens(
        np.concatenate([fx_fy_cx_cy, size], axis=1),
        (*(float(limit) for limit in limits), float(antialiased)),
    )


def _features(
    arguments: dict,
    means: Float[Tensor, "B N 3"],
    views: Float[Tensor, "I 4 4"],
    depths: Float[Tensor, "I N"],
) -> Float[Tensor, "F N X"]:
    """What is composited, with F = 1, B or I: colours, and depth as the last channel if asked."""
    n, num_images = means.shape[1], len(views)
    mode, colors, degree = (arguments[name] for name in ("render_mode", "colors", "sh_degree"))
    if mode in ("D", "ED"):
        return depths[..., None]
    tail = 1 if degree is None else 2  # axes of one Gaussian's colour: (D,) or (K, 3)
    colors = colors.reshape(math.prod(colors.shape[: -tail - 1]), n, *colors.shape[-tail:])
    if degree is not None:
        colors = spherical_harmonics(degree, means, views, colors)
    if "+" in mode:
        colors = _one_row_per_image(colors, num_images)
        colors = torch.cat([colors, depths[..., None]], -1)
    return colors


def _backgrounds(
    arguments: dict, channels: int, num_images: int
) -> Float[Tensor, "I channels"] | None:
    """One background per image; behind a depth channel it is 0."""
    back, mode = arguments["backgrounds"], arguments["render_mode"]
    if back is None or mode in ("D", "ED"):
        return None
    back = back.reshape(num_images, -1)
    return torch.nn.functional.pad(back, (0, channels - back.shape[1]))


def _expected_depth(
    mode: str, picture: Float[Tensor, "I H W X"], alpha: Float[Tensor, "I H W 1"]
) -> Float[Tensor, "I H W X"]:
    """In the modes with ED, the last channel becomes the mean depth of what is covered.

    Compositing gives sum of w_i z_i, and alpha is the sum of the weights w_i. Where nothing is
    covered, both are 0; the tiny bound makes the quotient 0 there.
    """
    if mode not in ("ED", "RGB+ED"):
        return picture
    expected = picture[..., -1:] / alpha.clamp_min(1e-10)
    return torch.cat([picture[..., :-1], expected], -1) if "+" in mode else expected


def _counts(arguments: dict, num_batches: int, num_cameras: int) -> dict[str, int]:
    """The plain numbers in `meta`."""
    width, height = arguments["width"], arguments["height"]
    return {
        "width": width,
        "height": height,
        "n_batches": num_batches,
        "n_cameras": num_cameras,
        "tile_size": TILE_W,
        "tile_width": math.ceil(width / TILE_W),
        "tile_height": math.ceil(height / TILE_H),
    }
