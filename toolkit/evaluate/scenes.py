"""One pose in which avatar and truth are compared: the photo's own, a clip's, the turntable's."""

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
from toolkit.evaluate.cases import Case, Views, around, coco_joints, middle, true_views
from toolkit.photo.photo_body import PhotoBody
from toolkit.render.api import Render, render

CLIPS = ("walk", "run", "jump", "dance_a", "dance_b", "kick", "punch", "spin")
POSE_AZIMUTHS_DEG = (0.0, 45.0, 90.0, 180.0)  # one a sector; every second pose from the other side


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
        scale: true metres for one estimated metre.
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


def _joints(betas: Tensor, pose: Tensor, transl: Tensor) -> Float[Tensor, "17 3"]:
    return coco_joints(load_body()(betas, pose, transl).vertices)


def photo_scene(case: Case, body: PhotoBody) -> Scene:
    """The photo's own pose; the one scene that foreign cases have."""
    joints = _joints(body.betas, body.pose, body.transl)
    similarity = fit_similarity(joints, case.views.joints)
    cameras = similarity.into_estimated(case.views.cameras)
    return Scene("photo", body.pose, body.transl, cameras, case.views, joints, similarity.scale)


def for_body(scene: Scene, body: PhotoBody) -> Scene:
    """The same truth, to be compared with an avatar on another body; not for the turntable."""
    if scene.name == "photo":
        pose, transl = body.pose, body.transl
    else:
        pose, transl = scene.pose, -load_body().rest_joints(body.betas)[0]
    joints = _joints(body.betas, pose, transl)
    similarity = fit_similarity(joints, scene.views.joints)
    cameras = similarity.into_estimated(scene.views.cameras)
    return Scene(scene.name, pose, transl, cameras, scene.views, joints, similarity.scale)


def clip_poses(names=CLIPS) -> dict[str, Float[Tensor, "55 3"]]:
    """The middle frame of each clip, the clip turned to the camera."""
    clips = {name: load_clip(name).facing_camera() for name in names}
    return {name: clip.poses[len(clip) // 2] for name, clip in clips.items()}


def pose_scenes(case: Case, body: PhotoBody, names=CLIPS) -> list[Scene]:
    """The true person and the estimated body in poses that the photo does not show."""
    scenes, side = [], case.views.cameras.height
    for index, (name, pose) in enumerate(clip_poses(names).items()):
        person, model = case.person, load_body()
        true_transl = -model.rest_joints(person.betas)[0]
        azimuths = np.array(POSE_AZIMUTHS_DEG) * (-1) ** index
        cameras = around(azimuths, middle(person, pose, true_transl)).resized(side, side)
        views = true_views(person, cameras, azimuths, pose=pose, transl=true_transl)
        transl = -model.rest_joints(body.betas)[0]
        joints = _joints(body.betas, pose, transl)
        similarity = fit_similarity(joints, views.joints)
        scenes.append(
            Scene(
                name,
                pose,
                transl,
                similarity.into_estimated(cameras),
                views,
                joints,
                similarity.scale,
            )
        )
    return scenes


def turntable_scene(case: Case, body: PhotoBody, cameras: Cameras, azimuths) -> Scene:
    """The A pose from the turntable's cameras: here the prior's frames can be scored."""
    model, pose = load_body(), a_pose()
    transl = -model.rest_joints(body.betas)[0]
    joints = _joints(body.betas, pose, transl)
    true_transl = -model.rest_joints(case.person.betas)[0]
    true_joints = coco_joints(
        model(case.person.betas, pose, true_transl, case.person.expression).vertices
    )
    similarity = fit_similarity(joints, true_joints)
    views = true_views(
        case.person, similarity.into_true(cameras), azimuths, pose=pose, transl=true_transl
    )
    return Scene("turntable", pose, transl, cameras, views, joints, similarity.scale)
