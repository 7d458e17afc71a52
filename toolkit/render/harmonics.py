"""Real spherical harmonics up to degree 3: colour that depends on the direction of view.

Degree 0 is one colour for all directions; each further degree adds finer changes with direction,
such as gloss. Order and signs are gsplat's.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.gaussians import SH_C0


def sh_bases(degree: int, directions: Float[Tensor, "... 3"]) -> Float[Tensor, "... K"]:
    """Basis values at unit directions, K = (degree + 1)^2.

    The numbers below normalise each basis function: its square integrates to 1 over the sphere.

    Source: Sloan, Efficient Spherical Harmonic Evaluation, JCGT 2013.
    """
    x, y, z = directions.unbind(-1)
    bases = [torch.full_like(x, SH_C0)]
    if degree >= 1:  # 3 functions: a gradient along y, z and x
        c = 0.48860251190292
        bases += [-c * y, c * z, -c * x]
    if degree >= 2:  # 5 functions, quadratic in the direction
        xx_yy, xy2 = x * x - y * y, 2 * x * y
        c, d = 0.5462742152960395, -1.092548430592079
        bases += [
            c * xy2,
            d * z * y,
            0.9461746957575601 * z * z - 0.3153915652525201,
            d * z * x,
            c * xx_yy,
        ]
    if degree >= 3:  # 7 functions, cubic
        c, d = -0.5900435899266435, 1.445305721320277 * z
        e = -2.285228997322329 * z * z + 0.4570457994644658
        bases += [
            c * (x * xy2 + y * xx_yy),
            d * xy2,
            e * y,
            z * (1.865881662950577 * z * z - 1.119528997770346),
            e * x,
            d * xx_yy,
            c * (x * xx_yy - y * xy2),
        ]
    return torch.stack(bases, -1)


def spherical_harmonics(
    degree: int,
    means: Float[Tensor, "B N 3"],
    views: Float[Tensor, "I 4 4"],
    coeffs: Float[Tensor, "F N K 3"],
) -> Float[Tensor, "G N 3"]:
    """Colours max(0.5 + sum_k b_k c_k, 0) seen from every camera.

    Args:
        degree: highest band used, 0 to 3.
        means: centres in the world; the direction goes from the camera to them.
        views: world to camera, one per image.
        coeffs: K coefficients per colour channel; F is 1, B or the number of images I.

    Returns:
        G = F for degree 0 (the colour does not depend on the camera), else G = I.
    """
    if degree == 0:
        return (0.5 + SH_C0 * coeffs[:, :, 0]).clamp_min(0.0)
    num_images = len(views)
    # p = V m + t, so the camera's centre (p = 0) is the last column of the inverse view.
    centers = torch.linalg.inv(views)[:, :3, 3]
    # (I,N,3): from every camera to every Gaussian
    offsets = means.repeat_interleave(num_images // len(means), 0) - centers[:, None]
    bases = sh_bases(degree, torch.nn.functional.normalize(offsets, dim=-1))
    coeffs = coeffs[:, :, : bases.shape[-1]].repeat_interleave(num_images // len(coeffs), 0)
    # (I,N,K,1) times (I,N,K,3), summed over K. Coefficients 0 give mid-grey, hence + 0.5.
    return (0.5 + (bases[..., None] * coeffs).sum(-2)).clamp_min(0.0)
