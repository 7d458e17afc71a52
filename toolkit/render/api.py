"""`render`: `Gaussians` and `Cameras` to pictures, in one call.

What happens inside, in the order of the data (3D Gaussian Splatting, Kerbl et al. 2023):

1. Projection. Each Gaussian becomes a 2D Gaussian in the picture (EWA splatting): its mean by the
   pinhole, its covariance by the derivative of the pinhole. A blur of 0.3 px^2 is added, so that
   none is thinner than a pixel; "antialiased" lowers its opacity in return.
2. Colour. Spherical harmonics give the colour as seen from this camera.
3. Sorting. The Gaussians are sorted by depth and handed to tiles of 32 x 32 pixels.
4. Compositing. Every pixel takes colour from the near Gaussians first. Each lets a share
   1 - alpha of the light through to those behind; the background gets the rest.

Every step has a backward pass, so a loss on the pictures gives gradients of all Gaussians and of
the camera poses. The kernels are in `toolkit.render.cpu`; on a GPU, gsplat's take their place.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.cameras import Cameras
from toolkit.gaussians import Gaussians
from toolkit.render.rasterizer import rasterization


@dataclass(frozen=True)
class Render:
    """Pictures of C cameras.

    Attributes:
        rgb: colour over the background; in [0, 1] if the Gaussians' colours are.
        alpha: coverage in [0, 1).
        depth: expected z of what is covered, metres; 0 where nothing is.
    """

    rgb: Float[Tensor, "C H W 3"]
    alpha: Float[Tensor, "C H W 1"]
    depth: Float[Tensor, "C H W 1"]


def render(
    gaussians: Gaussians,
    cameras: Cameras,
    *,
    background: Sequence[float] | Float[Tensor, "*C 3"] = (1.0, 1.0, 1.0),
    antialiased: bool = True,
    sh_degree: int | None = None,
) -> Render:
    """Colour, alpha and expected depth of `gaussians` seen by `cameras`; differentiable.

    Args:
        gaussians: the scene.
        cameras: C views of the same size.
        background: RGB in [0, 1], one for all cameras or one per camera.
        antialiased: lower the opacity of Gaussians that the pixel blur makes larger
            (Mip-Splatting), so that thin ones do not fatten in small views. Everything in this
            project is trained and fitted with it; False is gsplat's "classic".
        sh_degree: highest band of the spherical harmonics to use; all bands if None.

    Raises:
        InputError: NaN or infinite values.

    Source: Kerbl et al. 2023 (3DGS); Yu et al. 2024 (Mip-Splatting), the 2D filter.
    """
    back = torch.as_tensor(background, dtype=torch.float32, device=gaussians.means.device)
    colors, alpha, _ = rasterization(
        gaussians.means,
        gaussians.quats,
        gaussians.scales,
        gaussians.opacities,
        gaussians.sh,
        cameras.viewmats,
        cameras.Ks,
        cameras.width,
        cameras.height,
        sh_degree=gaussians.sh_degree if sh_degree is None else sh_degree,
        backgrounds=back.expand(len(cameras), 3),
        render_mode="RGB+D",
        rasterize_mode="antialiased" if antialiased else "classic",
    )
    # The depth channel is the sum of weight times depth, and alpha is the sum of the weights.
    # Their quotient is the mean depth; the bound avoids 0 / 0 where nothing is seen.
    return Render(colors[..., :3], alpha, colors[..., 3:] / alpha.clamp_min(1e-10))
