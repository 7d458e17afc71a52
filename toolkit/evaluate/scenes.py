"""One pose in which avatar and truth are compared: the photo's own, a clip's, the turntable's.

True person and estimated body take the same pose, each with its own shape. Where the estimated body
then stands differs from the truth by a similarity, which is taken off (see `evaluate.align`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.body.motion import a_pose, load_clip
from toolkit.body.npz import load_body
from toolkit.body.rig import Avatar
from toolkit.cameras import Cameras
from toolkit.evaluate.align import fit_similarity
from toolkit.evaluate.cases import (
    Azimuths,
    Case,
    Views,
    body_center,
    cameras_around,
    coco_joints,
    true_views,
)
from toolkit.photo.photo_body import PhotoBody
from toolkit.render.api import Render, render

CLIPS = ("walk", "run", "jump", "dance_a", "dance_b", "kick", "punch", "spin")
# one view per sector; every second pose is seen from the other side
POSE_AZIMUTHS_DEG = (0.0, 45.0, 90.0, 180.0)


@dataclass(frozen=True)
class Scene:
    """True pictures of one pose, and how the estimated avatar is put in front of the same cameras.

    Attributes:
        name: "photo", "turntable" or a clip's name.
        pose: of the estimated avatar, radians.
        transl: of the estimated avatar, metres.
        cameras: the views' cameras in the estimated world (see `evaluate.align`).
        views: the truth.
        joints: COCO's 17 keypoints of the estimated body, estimated world, metres.
        scale: true metres per estimated metre.
    """

    name: str
    pose: Float[Tensor, "55 3"]
    transl: Float[Tensor, " 3"]
    cameras: Cameras
    views: Views
    joints: Float[Tensor, "17 3"]
    scale: float

    def draw(self, avatar: Avatar) -> Render:
        """The avatar from the views' cameras."""
        with torch.no_grad():
            return render(avatar.posed(self.pose, self.transl), self.cameras)


def _joints(
    betas: Float[Tensor, " B"], pose: Float[Tensor, "55 3"], transl: Float[Tensor, " 3"]
) -> Float[Tensor, "17 3"]:
    return coco_joints(load_body()(betas, pose, transl).vertices)


def _aligned_scene(
    name: str,
    body: PhotoBody,
    pose: Float[Tensor, "55 3"],
    transl: Float[Tensor, " 3"],
    views: Views,
) -> Scene:
    """The scene of an estimated body; its cameras take the similarity to the truth off."""
    joints = _joints(body.betas, pose, transl)
    similarity = fit_similarity(joints, views.joints)
    cameras = similarity.into_estimated(views.cameras)
    return Scene(name, pose, transl, cameras, views, joints, similarity.scale)


def _pelvis_at_origin(betas: Float[Tensor, " B"]) -> Float[Tensor, " 3"]:
    """Translation that brings a body's pelvis, joint 0, to the origin, metres."""
    return -load_body().rest_joints(betas)[0]


def photo_scene(case: Case, body: PhotoBody) -> Scene:
    """The photo's own pose: the only scene that other people's folders have."""
    return _aligned_scene("photo", body, body.pose, body.transl, case.views)


def for_body(scene: Scene, body: PhotoBody) -> Scene:
    """The same truth, to be compared with an avatar on another body; not for the turntable."""
    if scene.name == "photo":
        pose, transl = body.pose, body.transl
    else:
        pose, transl = scene.pose, _pelvis_at_origin(body.betas)
    return _aligned_scene(scene.name, body, pose, transl, scene.views)


def clip_poses(names: Sequence[str] = CLIPS) -> dict[str, Float[Tensor, "55 3"]]:
    """The middle frame of each clip, the clip turned to the camera."""
    clips = {name: load_clip(name).facing_camera() for name in names}
    return {name: clip.poses[len(clip) // 2] for name, clip in clips.items()}


def pose_scenes(case: Case, body: PhotoBody, names: Sequence[str] = CLIPS) -> list[Scene]:
    """The true person and the estimated body in poses that the photo does not show.

    Args:
        case: one of our own people, who can be posed anew.
        body: the estimated one.
        names: of the motion clips whose middle frames are the poses.
    """
    scenes, side_px = [], case.views.cameras.height
    true_transl = _pelvis_at_origin(case.person.betas)
    transl = _pelvis_at_origin(body.betas)
    for index, (name, pose) in enumerate(clip_poses(names).items()):
        azimuths = np.array(POSE_AZIMUTHS_DEG) * (-1) ** index  # left and right in turn
        center = body_center(case.person, pose, true_transl)
        cameras = cameras_around(azimuths, center).resized(side_px, side_px)
        views = true_views(case.person, cameras, azimuths, pose=pose, transl=true_transl)
        scenes.append(_aligned_scene(name, body, pose, transl, views))
    return scenes


def turntable_scene(case: Case, body: PhotoBody, cameras: Cameras, azimuths: Azimuths) -> Scene:
    """The A pose from the turntable's cameras: here the prior's frames can be scored.

    In the other scenes the true views come first and the avatar's cameras follow from them. Here
    the frames exist, so it is the other way round: the truth is rendered from where they were.

    Args:
        case: one of our own people, who can be posed anew.
        body: the estimated one.
        cameras: of the turntable, in the estimated world.
        azimuths: of these cameras, degrees.
    """
    person, pose = case.person, a_pose()
    transl = _pelvis_at_origin(body.betas)
    joints = _joints(body.betas, pose, transl)
    true_transl = _pelvis_at_origin(person.betas)
    true_vertices = load_body()(person.betas, pose, true_transl, person.expression).vertices
    similarity = fit_similarity(joints, coco_joints(true_vertices))
    views = true_views(
        person, similarity.into_true(cameras), azimuths, pose=pose, transl=true_transl
    )
    return Scene("turntable", pose, transl, cameras, views, joints, similarity.scale)
