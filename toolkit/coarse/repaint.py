"""Colours straight from the photo, corrected for the splats' own blur.

If each Gaussian simply takes the photo's colour at its centre, the render is a blurred photo: a
Gaussian shows its colour over its whole footprint, and so do its neighbours. But a render is linear
in the colours of its splats, each pixel a weighted sum. The error of a pixel can therefore be sent
back to the Gaussians by the same weights: render in the photo's view, compare with the photo, and
correct each Gaussian by its share. Two corrections undo most of the blur, and nothing is learnt.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.gaussians import Gaussians
from toolkit.photo.crop import PhotoCrop
from toolkit.render.rasterizer import rasterization

FAINT_PX = 0.3  # a Gaussian that shows on less than this of a pixel is corrected less
GAIN = 1.5  # of each correction: 1 converges slowly, 2 oscillates


def repaint(posed: Gaussians, crop: PhotoCrop, *, num_corrections: int = 2) -> Float[Tensor, "N 3"]:
    """Colours with which `posed` renders the photo in its own view.

    Only the person's pixels count, and only colours are corrected, not coverage: each pixel is
    compared with the photo times the alpha that the splats reach there.

    Args:
        posed: in the photo's pose, coloured by a first guess.
        num_corrections: each costs a render and its backward pass; 0 returns the first guess.

    Returns:
        RGB in [0, 1]; Gaussians that do not show keep theirs. No gradient flows through.

    Source: Irani and Peleg 1991 (iterative back-projection), with splats as the blur.
    """
    colors = posed.colors.detach()
    person = ((crop.mask > 0.5) * crop.known)[..., None]  # (S, S, 1), 0 or 1
    photo = crop.rgb.permute(1, 2, 0)  # (S, S, 3)
    for _ in range(num_corrections):
        # a fourth channel of ones beside RGB: its gradient adds up each Gaussian's weights
        channels = torch.cat([colors, torch.ones_like(colors[:, :1])], dim=1).requires_grad_()
        with torch.enable_grad():
            drawn, alpha, _ = rasterization(
                posed.means.detach(),
                posed.quats.detach(),
                posed.scales.detach(),
                posed.opacities.detach(),
                channels,
                crop.camera.viewmats,
                crop.camera.Ks,
                crop.camera.width,
                crop.camera.height,
                rasterize_mode="antialiased",
            )
            error = (alpha[0] * photo - drawn[0, ..., :3]).detach() * person
            # drawn = W channels is linear, so this "gradient" is W^T [error, person], without W
            # ever being stored: the error that falls on each Gaussian, and its total weight in px
            picture = torch.cat([error, person], dim=-1)[None]
            (share,) = torch.autograd.grad(drawn, channels, picture)
        # step by the mean error per Gaussian, error over weight
        colors = (colors + GAIN * share[:, :3] / share[:, 3:].clamp_min(FAINT_PX)).clamp(0, 1)
    return colors
