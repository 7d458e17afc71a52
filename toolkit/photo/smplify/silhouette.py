"""The silhouette terms of the fit: the body lies inside the mask and reaches its contour."""

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import distance_transform_edt
from skimage.measure import find_contours
from torch import Tensor
from torch.nn import functional

from toolkit.photo.smplify.energy import geman_mcclure


class Silhouette:
    """The mask as the fit needs it: distance outside, contour points, and where the photo ends.

    Clothes and hair make a mask larger than its body, so a body point outside the mask costs in
    full, while a contour point without body near it soon costs no more.
    """

    def __init__(self, mask: Float[np.ndarray, "H W"], scale_px: float, num_contour: int = 250):
        self.shrink = max(1, int(max(mask.shape) / 320))
        small = mask[:: self.shrink, :: self.shrink]
        distance = distance_transform_edt(small <= 0.5) * self.shrink / scale_px
        self.outside = torch.from_numpy(distance.astype(np.float32))[None, None]
        self.size = torch.tensor([mask.shape[1], mask.shape[0]], dtype=torch.float32)
        contours = [c for c in find_contours(small, 0.5) if len(c) > 20]
        points = np.concatenate(contours)[:, ::-1] if contours else np.zeros((0, 2))
        points = (points + 0.5) * self.shrink
        border = 3.0 * self.shrink  # where the person leaves the picture there is no contour
        inner = ((points > border) & (points < self.size.numpy() - border)).all(axis=1)
        step = max(1, int(inner.sum()) // num_contour)
        self.contour = torch.tensor(points[inner][::step].astype(np.float32))
        self.scale_px = scale_px

    def inside_term(self, projected: Float[Tensor, "N 2"]) -> Tensor:
        """Squared distance of body points outside the mask, in bodies; 0 beyond the picture."""
        grid = projected / self.size * 2 - 1
        distance = functional.grid_sample(self.outside, grid[None, None], align_corners=False)
        return geman_mcclure(distance[0, 0, 0] ** 2, 0.05).mean()

    def nearest(self, projected: Float[Tensor, "N 2"]) -> Tensor:
        """For each contour point, the index of the nearest body point."""
        return torch.cdist(self.contour, projected.detach()).argmin(dim=1)

    def cover_term(
        self, projected: Float[Tensor, "N 2"], nearest: Tensor, trust: Tensor, sigma: float
    ) -> Tensor:
        """Distance of contour points to their body points, in bodies, robust.

        Args:
            nearest: from `nearest`, which need not be fresh in every step.
            trust: weight of each body point; small where hair or a hat hides the body's outline.
        """
        if not len(self.contour):
            return projected.sum() * 0.0
        squared = ((projected[nearest] - self.contour) / self.scale_px).square().sum(dim=1)
        return (trust[nearest] * geman_mcclure(squared, sigma)).mean()
