"""Split a picture's squared error, pixel by pixel, by cause and by what the pixel shows.

By cause, each pixel inside the union of both silhouettes gives its squared error to:

    outline  all of it, where the two coverages differ
    shade    too light or too dark over a patch: the grey part of the patch's mean error
    hue      another colour over a patch: the rest of its mean error
    fine     what varies within a patch: pattern, print, seam, edge

Patches are squares that are cut where the label changes. A mean over a patch and the deviations
from it are orthogonal, and so are grey and the other colours. So the four parts sum to the whole
exactly, for every label. A blur in place of the patches would leave a mixed term.
"""

from enum import IntEnum

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from toolkit.body.rig import Avatar, Rig
from toolkit.cameras import Cameras
from toolkit.evaluate.cases import Views
from toolkit.gaussians import Gaussians
from toolkit.photo.photo_body import PhotoBody
from toolkit.render.api import Render, render

CAUSES = ("outline", "shade", "hue", "fine")
PATCH_PX = 8  # 9 cm in a turntable of 192 px
DIFFERS = 0.25  # coverages further apart than this are an outline; the truth's come in quarters
REGIONS = {  # joints of SMPL-X
    "head": (12, 15, 22, 23, 24),
    "torso": (0, 3, 6, 9, 13, 14),
    "arms": (*range(16, 22), *range(25, 55)),
    "legs": (1, 2, 4, 5, 7, 8, 10, 11),
}


class Sight(IntEnum):
    """What the photo's camera saw of an anchor."""

    SEEN = 0
    HIDDEN = 1
    OUTSIDE = 2


def region_labels(rig: Rig) -> Int[Tensor, " N"]:
    """Number of the region in `REGIONS` whose joints hold most of each anchor's weight."""
    shares = [rig.lbs_weights[:, list(joints)].sum(1) for joints in REGIONS.values()]
    return torch.stack(shares, 1).argmax(1)


def sight_labels(avatar: Avatar, body: PhotoBody, visible: Bool[Tensor, " N"]) -> Int[Tensor, " N"]:
    """`Sight` of each anchor.

    Args:
        avatar: whose anchors.
        body: pose and camera of the photo.
        visible: anchors that the photo's camera saw.
    """
    points = avatar.rig.motions(body.pose, body.transl).points(avatar.rig.anchors_rest)
    pixels = body.camera.project(points)[0][0]
    size = torch.tensor([body.camera.width, body.camera.height])
    inside = ((pixels >= 0) & (pixels < size)).all(1)
    unseen = torch.where(inside, int(Sight.HIDDEN), int(Sight.OUTSIDE))
    return torch.where(visible, int(Sight.SEEN), unseen)


def draw_labels(
    posed: Gaussians, labels: Int[Tensor, " N"], num: int, cameras: Cameras
) -> Int[np.ndarray, "C H W"]:
    """The label that fills most of each pixel.

    A pixel that the avatar does not cover, where the true person is larger, takes the label of the
    nearest covered pixel.

    Args:
        posed: Gaussians as they are drawn.
        labels: of each Gaussian, 0 to `num` - 1.
        num: of labels.
        cameras: of the views.
    """
    flags = torch.nn.functional.one_hot(labels, num + -num % 3).float()  # three fit in a picture
    with torch.no_grad():
        drawn = [
            render(posed.recolored(part), cameras, background=(0.0, 0.0, 0.0))
            for part in flags.split(3, dim=1)
        ]
    largest = torch.cat([d.rgb for d in drawn], -1)[..., :num].argmax(-1).numpy()
    covered = drawn[0].alpha[..., 0].numpy() > 0.5
    return np.stack([_spread(row, mask) for row, mask in zip(largest, covered, strict=True)])


def _spread(
    labels: Int[np.ndarray, "H W"], covered: Bool[np.ndarray, "H W"]
) -> Int[np.ndarray, "H W"]:
    """Labels of the nearest covered pixel; a view without any is left as it is."""
    if not covered.any():
        return labels
    rows, columns = distance_transform_edt(~covered, return_distances=False, return_indices=True)
    return labels[rows, columns]


def split_squares(
    drawn: Render, truth: Views, labels: Int[np.ndarray, "C H W"], num: int
) -> tuple[Float[np.ndarray, "L 4"], Int[np.ndarray, " L"]]:
    """Sums of squared error by label and cause, and the number of pixels of each label.

    Args:
        drawn: the pictures to be judged.
        truth: of the same views.
        labels: of each pixel, 0 to `num` - 1.
        num: of labels.

    Returns:
        Sums over the pixels of the union of both silhouettes of the squared error, which is the
        mean over the three channels; causes in the order of `CAUSES`.

    Source: ours.
    """
    error = (drawn.rgb.clamp(0, 1) - truth.rgb).double().numpy()
    alphas = np.stack([a[..., 0].numpy() for a in (drawn.alpha, truth.alpha)])
    union = alphas.max(0) > 0.5
    outline = union & (np.abs(alphas[0] - alphas[1]) > DIFFERS)
    inside = union & ~outline
    low = _patch_means(error, inside, labels)
    grey = low.mean(-1, keepdims=True)
    parts = (
        np.where(outline, (error**2).mean(-1), 0),
        np.where(inside, grey[..., 0] ** 2, 0),
        np.where(inside, ((low - grey) ** 2).mean(-1), 0),
        np.where(inside, ((error - low) ** 2).mean(-1), 0),
    )
    flat = labels.ravel()
    sums = np.stack([np.bincount(flat, part.ravel(), minlength=num) for part in parts], 1)
    return sums, np.bincount(flat[union.ravel()], minlength=num)


def _patch_means(
    error: Float[np.ndarray, "C H W 3"],
    inside: Bool[np.ndarray, "C H W"],
    labels: Int[np.ndarray, "C H W"],
) -> Float[np.ndarray, "C H W 3"]:
    """Mean of the error over each patch, at each of its pixels; 0 outside."""
    view, row, column = np.nonzero(inside)
    patch = np.stack([view, row // PATCH_PX, column // PATCH_PX, labels[inside]])
    _, index = np.unique(patch, axis=1, return_inverse=True)
    index = index.ravel()
    counts, values = np.bincount(index), error[inside]
    sums = np.stack([np.bincount(index, values[:, channel]) for channel in range(3)], 1)
    means = np.zeros_like(error)
    means[inside] = (sums / counts[:, None])[index]
    return means
