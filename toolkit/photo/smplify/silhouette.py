"""The silhouette terms of the fit: the body should lie inside the mask and reach its contour."""

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import distance_transform_edt
from skimage.measure import find_contours
from torch import Tensor
from torch.nn import functional

from toolkit.photo.smplify.energy import geman_mcclure


class Silhouette:
    """A mask, prepared for the fit as a distance map and as points on its contour.

    Clothes and hair make the mask larger than the body. So a body point outside the mask costs in
    full, while the cost of a contour point that lies far from the body is limited.
    """

    def __init__(self, mask: Float[np.ndarray, "H W"], scale_px: float, num_contour: int = 250):
        """Prepare a mask in [0, 1]; `scale_px` is the person's height in pixels."""
        self.shrink = max(1, int(max(mask.shape) / 320))  # 320 pixels are enough for the fit
        small = mask[:: self.shrink, :: self.shrink]
        # Distance of each pixel to the mask in body heights, 0 on the mask: (1, 1, h, w).
        distance = distance_transform_edt(small <= 0.5) * self.shrink / scale_px
        self.outside = torch.from_numpy(distance.astype(np.float32))[None, None]
        self.size = torch.tensor([mask.shape[1], mask.shape[0]], dtype=torch.float32)
        contours = [c for c in find_contours(small, 0.5) if len(c) > 20]
        # Contours come as (row, column) of the shrunken mask; turn them into (x, y) of the photo.
        points = np.concatenate(contours)[:, ::-1] if contours else np.zeros((0, 2))
        points = (points + 0.5) * self.shrink
        # Where the person leaves the picture, the mask ends at the border but the body does not.
        border = 3.0 * self.shrink
        inner = ((points > border) & (points < self.size.numpy() - border)).all(axis=1)
        step = max(1, int(inner.sum()) // num_contour)
        self.contour = torch.tensor(points[inner][::step].astype(np.float32))
        self.scale_px = scale_px

    def inside_term(self, projected: Float[Tensor, "N 2"]) -> Tensor:
        """Robust squared distance of body points to the mask; 0 on it and outside the photo."""
        grid = projected / self.size * 2 - 1  # `grid_sample` counts from -1 to 1, 0 beyond
        distance = functional.grid_sample(self.outside, grid[None, None], align_corners=False)
        return geman_mcclure(distance[0, 0, 0] ** 2, 0.05).mean()

    def nearest(self, projected: Float[Tensor, "N 2"]) -> Tensor:
        """For each contour point, the index of the nearest body point; an index has no gradient."""
        return torch.cdist(self.contour, projected.detach()).argmin(dim=1)

    def cover_term(
        self, projected: Float[Tensor, "N 2"], nearest: Tensor, trust: Tensor, sigma: float
    ) -> Tensor:
        """Robust squared distance of the contour points to their body points.

        Args:
            projected: body points in pixels of the photo.
            nearest: from the method `nearest`; it changes slowly, so it may be some steps old.
            trust: weight of each body point; small where hair or a hat hides the body's outline.
            sigma: distance beyond which the cost flattens, in body heights.
        """
        if not len(self.contour):
            return projected.sum() * 0.0  # zero, and still part of the graph
        squared = ((projected[nearest] - self.contour) / self.scale_px).square().sum(dim=1)
        return (trust[nearest] * geman_mcclure(squared, sigma)).mean()
