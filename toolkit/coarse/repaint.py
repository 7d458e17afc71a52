"""Colours straight from the photo, corrected for the splats' own blur.

A Gaussian that takes the photo's colour at its centre shows it smeared over its footprint, and its
neighbours do the same: the render is a blurred photo. A picture is linear in the colours of its
splats, so the error can be sent back along the same weights: render in the photo's view, compare,
correct each Gaussian by its share. Two rounds undo most of the blur, and nothing is learnt.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.gaussians import Gaussians
from toolkit.photo.crop import PhotoCrop
from toolkit.render.api import rasterization

FAINT_PX = 0.3  # a Gaussian that shows on less than this of a pixel is corrected less
GAIN = 1.5  # 1 would creep, 2 would swing


def repaint(posed: Gaussians, crop: PhotoCrop, *, rounds: int = 2) -> Float[Tensor, "N 3"]:
    """Colours with which `posed` renders the photo in its own view.

    Only the person counts, and coverage is not corrected: each pixel is compared with the photo
    times the alpha that the splats reach there.

    Args:
        posed: in the photo's pose, coloured by a first guess.
        rounds: corrections; each costs a render and its backward pass.

    Returns:
        RGB in [0, 1]; Gaussians that do not show keep theirs. No gradient flows through.

    Source: Irani and Peleg 1991 (iterative back-projection), with splats as the blur.
    """
    colors = posed.colors.detach()
    inside = ((crop.mask > 0.5) * crop.known)[..., None]
    photo = crop.rgb.permute(1, 2, 0)
    for _ in range(rounds):
        probe = torch.cat([colors, torch.ones_like(colors[:, :1])], dim=1).requires_grad_()
        with torch.enable_grad():
            drawn, alpha, _ = rasterization(
                posed.means.detach(),
                posed.quats.detach(),
                posed.scales.detach(),
                posed.opacities.detach(),
                probe,
                crop.camera.viewmats,
                crop.camera.Ks,
                crop.camera.width,
                crop.camera.height,
                rasterize_mode="antialiased",
            )
            error = (alpha[0] * photo - drawn[0, ..., :3]).detach() * inside
            sent = torch.cat([error, inside], dim=-1)[None]  # the last channel adds up the weights
            (back,) = torch.autograd.grad(drawn, probe, sent)
        colors = (colors + GAIN * back[:, :3] / back[:, 3:].clamp_min(FAINT_PX)).clamp(0, 1)
    return colors
