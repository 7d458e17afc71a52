"""What the live viewer shows, as pure functions: the pose, the shape and the mixture of avatars."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.body.anchors import Anchors, sample_anchors
from toolkit.body.model import JOINT_NAMES, BodyModel
from toolkit.body.motion import Motion
from toolkit.body.npz import load_body
from toolkit.body.rig import Avatar, Rig
from toolkit.body.rotations import matrix_to_axis_angle, rodrigues
from toolkit.errors import InputError, fail
from toolkit.gaussians import Gaussians

SAME_PLACE_M = 1e-4  # anchors closer than this are the same anchors


def turn_joints(
    pose: Float[Tensor, "J 3"], turns_deg: Mapping[str, tuple[float, float, float]]
) -> Float[Tensor, "J 3"]:
    """The pose with some joints turned further, each about its own axes.

    Args:
        pose: axis-angle vectors, radians.
        turns_deg: joint name -> axis-angle vector in degrees, applied before the pose's rotation.

    Raises:
        InputError: no such joint.
    """
    turned = pose.clone()
    for name, degrees in turns_deg.items():
        if name not in JOINT_NAMES:
            fail("joint", got=repr(name), wanted="one of JOINT_NAMES", fix="See toolkit.body.")
        if any(degrees):
            joint = JOINT_NAMES.index(name)
            extra = rodrigues(torch.deg2rad(torch.tensor(degrees, dtype=pose.dtype)))
            matrix = rodrigues(pose[joint]) @ extra
            turned[joint] = torch.from_numpy(matrix_to_axis_angle(matrix.numpy())).to(pose)
    return turned


def frame_at(motion: Motion, seconds: float) -> tuple[Float[Tensor, "J 3"], Float[Tensor, "3"]]:
    """Pose and translation of a clip that repeats on the spot: it keeps its height only.

    Args:
        motion: the clip.
        seconds: since its start, already multiplied by the speed; any number.
    """
    frame = int(seconds * motion.fps) % len(motion)
    return motion.poses[frame], motion.transl[frame] * torch.tensor([0.0, 1.0, 0.0])


def wipe(coarse: Avatar, refined: Avatar, share: float) -> Avatar:
    """The coarse avatar up to a plane through the T-pose, the refined one beyond it.

    Gaussian i of one is Gaussian i of the other, so each is taken from one of the two.

    Args:
        coarse, refined: of one rig.
        share: of the Gaussians that are coarse, from the person's right to the left; 0 to 1.
    """
    x = refined.rig.anchors_rest[:, 0]
    order = x.argsort(stable=True)
    is_coarse = torch.zeros(len(x), dtype=torch.bool)
    is_coarse[order[: round(share * len(x))]] = True

    def choose(a: Tensor, b: Tensor) -> Tensor:
        return torch.where(is_coarse.view(-1, *[1] * (a.dim() - 1)), a, b)

    one, two = coarse.gaussians, refined.gaussians
    mixed = Gaussians.from_colors(
        choose(one.means, two.means),
        choose(one.quats, two.quats),
        choose(one.scales, two.scales),
        choose(one.opacities, two.opacities),
        choose(one.colors, two.colors),
    )
    return Avatar(mixed, refined.rig)


@dataclass(frozen=True)
class Shape:
    """The body and the anchors with which a rig was made, so that its betas can change.

    Attributes:
        body: of the rig.
        anchors: of the rig, in its order.
    """

    body: BodyModel
    anchors: Anchors

    @classmethod
    def of(cls, rig: Rig) -> "Shape | None":
        """The shape of this rig; None if its anchors are not those that the toolkit samples.

        A rig stores where its anchors are, not on which triangles they lie. The toolkit's own
        sampling is repeated and compared.
        """
        body = load_body()
        try:
            anchors = sample_anchors(body, num=len(rig))
            rest = anchors.shaped(rig.betas)
        except InputError:
            return None
        return cls(body, anchors) if _same(rest, rig.anchors_rest) else None

    def change(self, avatar: Avatar, betas: Float[Tensor, " S"]) -> Avatar:
        """The avatar with another body shape; every Gaussian keeps its offset from its anchor.

        Args:
            avatar: of the rig from which this was made.
            betas: the new shape.
        """
        rig = Rig.build(self.body, self.anchors, betas)
        moved = avatar.gaussians.means + (rig.anchors_rest - avatar.rig.anchors_rest)
        return Avatar(avatar.gaussians.replace(means=moved), rig)


def _same(a: Float[Tensor, "N 3"], b: Float[Tensor, "N 3"]) -> bool:
    return a.shape == b.shape and float((a - b).abs().max()) < SAME_PLACE_M


def splat_arrays(gaussians: Gaussians) -> dict[str, np.ndarray]:
    """Centres, covariances, colours and opacities, as viser wants them.

    Args:
        gaussians: posed.
    """
    g = gaussians.detach().to("cpu")
    w, x, y, z = torch.nn.functional.normalize(g.quats, dim=-1).unbind(-1)
    axes = torch.stack(
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
         2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
         2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], dim=-1,
    ).reshape(-1, 3, 3)  # fmt: skip
    half = axes * g.scales[:, None]
    return {
        "centers": g.means.numpy(),
        "covariances": (half @ half.mT).numpy(),
        "rgbs": g.colors.clamp(0, 1).numpy(),
        "opacities": g.opacities[:, None].numpy(),
    }
