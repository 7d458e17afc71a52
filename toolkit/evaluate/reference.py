"""What avatars are scored against in one scene: true views, prepared once and shared."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.evaluate.cases import Views
from toolkit.evaluate.crops import MARGIN, Crops, Square, crop_views, person_square
from toolkit.evaluate.scenes import Scene

FACE_REACH_M, FACE_WITHIN_DEG = 0.15, 60.0  # half the head square; views that show a face


@dataclass(frozen=True)
class Truth:
    """True views, prepared when first needed: the squares to look at, crops and features.

    Attributes:
        views: pictures of the true person in one pose.
    """

    views: Views

    @cached_property
    def boxes(self) -> list[Square]:
        """Square around the true person in each view."""
        return [person_square(a[..., 0]) for a in self.views.alpha]

    @cached_property
    def heads(self) -> list[Square | None]:
        """Square around the true head where the face shows, else None."""
        views = self.views
        # COCO's first five keypoints are nose, eyes and ears: their mean is the middle of the head
        pixels, depth = views.cameras.project(views.joints[:5].mean(0, keepdim=True))
        reach = FACE_REACH_M * views.cameras.Ks[:, 1, 1] / depth[:, 0]  # metres to pixels
        turned = np.abs((views.azimuths_deg + 180) % 360 - 180)
        return [
            (round(float(p[0, 0] - r)), round(float(p[0, 1] - r)), max(4, round(2 * float(r))))
            if angle <= FACE_WITHIN_DEG + 1e-6
            else None
            for p, r, angle in zip(pixels, reach, turned, strict=True)
        ]

    @cached_property
    def crops(self) -> Crops:
        """Crops and features of the true views."""
        return self.crop_as_truth(self.views.rgb, self.views.alpha)

    def crop_as_truth(
        self, rgb: Float[Tensor, "C H W 3"], alpha: Float[Tensor, "C H W 1"]
    ) -> Crops:
        """Other pictures of the same views, cut where the *true* person is."""
        return crop_views(rgb, alpha, self.boxes, self.heads)


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
    def boxes(self) -> list[Square]:
        """Square around the true person in each view."""
        return self.truth.boxes

    @property
    def crops(self) -> Crops:
        """Crops and features of the true views."""
        return self.truth.crops

    @cached_property
    def keypoint_percent(self) -> list[float]:
        """Mean distance of the estimated joints to the true ones in each view, % of the height."""
        estimated, _ = self.scene.cameras.project(self.scene.joints)
        true, _ = self.scene.views.cameras.project(self.scene.views.joints)
        heights = [box[2] / (1 + 2 * MARGIN) for box in self.boxes]  # the square less its border
        return (100 * (estimated - true).norm(dim=-1).mean(1) / torch.tensor(heights)).tolist()
