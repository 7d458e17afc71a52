"""All numbers of one avatar in one scene, view by view.

PSNR and SSIM count inside the true silhouette at the views' own size. Sharpness and the perceptual
distance look at a square around the person, `CROP_PX` wide, so that they mean the same for pictures
of any size; the face distance looks at the head alone.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from toolkit.cameras import Cameras
from toolkit.evaluate.cases import Views
from toolkit.evaluate.scenes import Scene
from toolkit.measure.blur import band_contrasts
from toolkit.measure.lpips import load_lpips
from toolkit.measure.metrics import masked_psnr, masked_ssim
from toolkit.measure.misalignment import silhouette_iou
from toolkit.measure.perceptual import compare_features, load_features, pool_features
from toolkit.render.api import Render

CROP_PX, MARGIN = 224, 0.12  # side of the square; border as a share of the person's longer side
FACE_PX, FACE_REACH_M, FACE_WITHIN_DEG = 112, 0.15, 60.0  # head crop; views that show a face
SAME_SURFACE_M, NEIGHBOUR_DEG = 0.02, 60.0  # of the reprojection between neighbouring views


@dataclass(frozen=True)
class Truth:
    """True views, prepared once: where the person and the face are, and what the net sees there."""

    views: Views

    @cached_property
    def boxes(self) -> list[tuple[int, int, int]]:
        """Square around the true person in each view: left, top, side, pixels."""
        return [person_square(a[..., 0]) for a in self.views.alpha]

    @cached_property
    def heads(self) -> list[tuple[int, int, int] | None]:
        """Square around the true head where the face shows, else None."""
        views = self.views
        pixels, depth = views.cameras.project(views.joints[:5].mean(0, keepdim=True))
        reach = FACE_REACH_M * views.cameras.Ks[:, 1, 1] / depth[:, 0]
        turned = np.abs((views.azimuths_deg + 180) % 360 - 180)
        return [
            (round(float(p[0, 0] - r)), round(float(p[0, 1] - r)), max(4, round(2 * float(r))))
            if angle <= FACE_WITHIN_DEG + 1e-6
            else None
            for p, r, angle in zip(pixels, reach, turned, strict=True)
        ]

    @cached_property
    def look(self) -> "Look":
        """Crops and features of the true views."""
        return look_at_person(self.views.rgb, self.views.alpha, self)


@dataclass(frozen=True)
class Reference:
    """What avatars are scored against in one scene.

    Attributes:
        scene: the pose, and how an estimated body stands in front of the true cameras.
        truth: of the scene's views; scenes of other bodies in the same pose share it.
    """

    scene: Scene
    truth: Truth

    @classmethod
    def of(cls, scene: Scene) -> "Reference":
        """A scene with its truth still to be prepared."""
        return cls(scene, Truth(scene.views))

    def with_scene(self, scene: Scene) -> "Reference":
        """For an avatar on another body: the same views, so the prepared truth is shared."""
        return Reference(scene, self.truth)

    @property
    def boxes(self) -> list[tuple[int, int, int]]:
        """Square around the true person in each view: left, top, side, pixels."""
        return self.truth.boxes

    @property
    def look(self) -> "Look":
        """Crops and features of the true views."""
        return self.truth.look

    @cached_property
    def keypoint_percent(self) -> list[float]:
        """Joints of the estimated body against the true ones in each view, % of the height."""
        ours, _ = self.scene.cameras.project(self.scene.joints)
        true, _ = self.scene.views.cameras.project(self.scene.views.joints)
        heights = [box[2] / (1 + 2 * MARGIN) for box in self.boxes]
        return (100 * (ours - true).norm(dim=-1).mean(1) / torch.tensor(heights)).tolist()


@dataclass(frozen=True)
class Look:
    """What the net and the spectrum need of some views: crops, features, head features."""

    rgb: Float[Tensor, "C S S 3"]
    alpha: Float[Tensor, "C S S"]
    features: list[Tensor]
    faces: dict[int, Tensor]


def look_at_person(
    rgb: Float[Tensor, "C H W 3"], alpha: Float[Tensor, "C H W 1"], truth: Truth
) -> Look:
    """Crop each view as its truth is cropped, and run the net once."""
    net = load_features()
    crops = torch.stack(
        [crop_square(rgb[i], alpha[i], box, CROP_PX) for i, box in enumerate(truth.boxes)]
    )
    heads = {
        i: crop_square(rgb[i], alpha[i], box, FACE_PX)[..., :3]
        for i, box in enumerate(truth.heads)
        if box is not None
    }
    with torch.no_grad():
        parts = [net(chunk) for chunk in crops[..., :3].split(4)]
        faces = pool_features(net(torch.stack(list(heads.values())))) if heads else []
    return Look(
        crops[..., :3],
        crops[..., 3],
        [torch.cat(p) for p in zip(*parts, strict=True)],
        dict(zip(heads, faces, strict=True)),
    )


def score_views(drawn: Render, reference: Reference) -> dict:
    """Every measure of some pictures of a scene: lists with one value (or None) a view.

    `energy` and `energy_true` hold squared contrasts of four octave bands, finest first, inside
    the eroded common silhouette; `features` the vectors that KID compares.
    """
    views, true = reference.scene.views, reference.look
    rgb = drawn.rgb.clamp(0, 1)
    mask = views.alpha > 0.5
    look = look_at_person(rgb, drawn.alpha, reference.truth)
    bands = [
        band_energies(look.rgb[i], true.rgb[i], torch.minimum(look.alpha[i], true.alpha[i]))
        for i in range(len(rgb))
    ]
    faces = [
        float(1 - F.cosine_similarity(look.faces[i], true.faces[i], dim=0))
        if i in true.faces
        else None
        for i in range(len(rgb))
    ]
    common = torch.minimum(views.alpha, drawn.alpha) > 0.9  # what lies off the outline's errors
    result = {
        "psnr": masked_psnr(rgb, views.rgb, mask).tolist(),
        "psnr_common": [
            value if float(shown) else None
            for value, shown in zip(
                masked_psnr(rgb, views.rgb, common).tolist(), common.sum((1, 2, 3)), strict=True
            )
        ],
        "ssim": masked_ssim(rgb, views.rgb, mask).tolist(),
        "perceptual": compare_features(look.features, true.features, true.alpha).tolist(),
        "iou": [silhouette_iou(a, b) for a, b in zip(drawn.alpha, views.alpha, strict=True)],
        "keypoint_percent": reference.keypoint_percent,
        "face_distance": faces,
        "consistency": consistency(drawn, reference.scene),
        "energy": [ours for ours, _ in bands],
        "energy_true": [own for _, own in bands],
        "features": round_floats(pool_features(look.features)),
        "azimuths_deg": views.azimuths_deg.tolist(),
    }
    lpips = load_lpips()
    return result if lpips is None else result | {"lpips": lpips(look.rgb, true.rgb).tolist()}


def round_floats(values: Tensor) -> list:
    return np.round(values.numpy().astype(np.float64), 5).tolist()


def band_energies(
    rgb: Float[Tensor, "S S 3"], true: Float[Tensor, "S S 3"], mask: Float[Tensor, "S S"]
) -> tuple[list, list]:
    """Squared contrast of a picture and of its truth in octave bands; None where too thin."""
    found = band_contrasts([rgb, true], mask) ** 2
    return tuple([float(v) if np.isfinite(v) else None for v in bands] for bands in found)


def person_square(alpha: Float[Tensor, "H W"]) -> tuple[int, int, int]:
    """Left, top and side of the square around a silhouette, with its border."""
    rows, columns = (torch.nonzero((alpha > 0.5).any(axis))[:, 0] for axis in (1, 0))
    if not len(rows):
        return 0, 0, max(alpha.shape)
    (top, bottom), (left, right) = ((int(v[0]), int(v[-1]) + 1) for v in (rows, columns))
    side = round(max(bottom - top, right - left) * (1 + 2 * MARGIN))
    return (left + right - side) // 2, (top + bottom - side) // 2, side


def crop_square(
    rgb: Float[Tensor, "H W 3"], alpha: Float[Tensor, "H W 1"], box: tuple[int, int, int], size: int
) -> Float[Tensor, "S S 4"]:
    """Colour on white and coverage inside a square, which may reach over the border."""
    left, top, side = box
    stack = torch.cat([rgb - 1, alpha], -1).permute(2, 0, 1)
    height, width = alpha.shape[:2]
    stack = F.pad(
        stack,
        (max(0, -left), max(0, left + side - width), max(0, -top), max(0, top + side - height)),
    )
    stack = stack[:, max(0, top) :, max(0, left) :][:, :side, :side]
    stack = F.interpolate(
        stack[None], (size, size), mode="bilinear", antialias=True, align_corners=False
    )[0].permute(1, 2, 0)
    return torch.cat([(stack[..., :3] + 1).clamp(0, 1), stack[..., 3:].clamp(0, 1)], -1)


def consistency(drawn: Render, scene: Scene) -> list[float | None]:
    """Mean colour difference (%) between each view and the next one around, carried over by depth.

    A pixel is carried by its expected depth; it counts where the next view shows a surface within
    2 cm of it. None where the next view is more than 60 degrees away.
    """
    azimuths = np.asarray(scene.views.azimuths_deg) % 360
    order = np.argsort(azimuths, kind="stable")
    found: list[float | None] = [None] * len(order)
    for i, j in pairwise([*order, order[0]]):
        if i != j and (azimuths[j] - azimuths[i]) % 360 <= NEIGHBOUR_DEG:
            found[i] = reprojection_error(drawn, scene.cameras, int(i), int(j), scene.scale)
    return found


def reprojection_error(
    drawn: Render, cameras: Cameras, i: int, j: int, scale: float = 1.0
) -> float | None:
    """Mean colour difference (%) of view `i` and what view `j` shows of the same surface."""
    solid = drawn.alpha[i, ..., 0] > 0.9
    y, x = torch.nonzero(solid, as_tuple=True)
    depth = drawn.depth[i, y, x]
    pixels = torch.stack([x + 0.5, y + 0.5, torch.ones(len(x))], -1)
    points = pixels @ torch.linalg.inv(cameras.Ks[i]).T * depth - cameras.viewmats[i, :3, 3]
    (landed,), (far,) = cameras[j].project(points @ cameras.viewmats[i, :3, :3])
    stack = torch.cat([drawn.rgb[j], drawn.depth[j], drawn.alpha[j]], -1).permute(2, 0, 1)[None]
    grid = landed / torch.tensor([cameras.width, cameras.height]) * 2 - 1
    seen = F.grid_sample(stack, grid[None, None], align_corners=False)[0, :, 0].T
    same = (seen[:, 4] > 0.9) & ((seen[:, 3] - far).abs() < SAME_SURFACE_M / scale)
    if same.sum() < 64:
        return None
    return 100 * float((drawn.rgb[i, y, x] - seen[:, :3]).abs().mean(-1)[same].mean())
