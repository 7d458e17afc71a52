"""One photo in, LHM's Gaussians on our rig out.

Reconstruction --make_anchors--> Anchors                       (once per body)
photo, mask, body -----predict-> Gaussians in the T-pose, one per anchor
"""

import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.body.anchors import HEAD_JOINTS, Anchors
from toolkit.body.binding import nearest_anchors
from toolkit.body.model import BodyModel
from toolkit.cameras import Cameras
from toolkit.coarse.lhm.checkpoint import Reconstruction
from toolkit.coarse.lhm.images import body_input, crop_head, frame_person, head_box, head_input
from toolkit.coarse.lhm.network import forward, zero_pose
from toolkit.coarse.lhm.posing import LHMOutput
from toolkit.errors import fail
from toolkit.gaussians import Gaussians
from toolkit.photo.photo_body import PhotoBody

MAX_BODY_GAP_M = 0.01  # mean distance of the checkpoint's points from the body; more: other body


def make_anchors(reconstruction: Reconstruction, body: BodyModel) -> Anchors:
    """LHM's query points as anchors of `body`, which must be the checkpoint's kind of body.

    Skinning and the first shape directions are the checkpoint's own (of the nearest vertex);
    normals and further shape directions are `body`'s.

    Raises:
        InputError: a body of another template.
    """
    points, skin = reconstruction.points, reconstruction.model.skin
    still = torch.zeros(len(body.parents), 3)
    near = nearest_anchors(points, body, torch.zeros(0), still, torch.zeros(3))
    gap = float((near.points - points).norm(dim=1).mean())
    if gap > MAX_BODY_GAP_M or skin.skinning_weight.shape[1] != len(body.parents):
        fail(
            "Body for LHM",
            got=f"a template {100 * gap:.1f} cm away from the checkpoint's points",
            wanted="the body the checkpoint was made with (SMPL-X)",
            fix="Load your SMPLX_NEUTRAL.npz with toolkit.body.load_body.",
        )
    weights = skin.skinning_weight.cpu()
    own = skin.shape_dirs.cpu()[..., : near.shapedirs.shape[2]]
    directions = torch.cat([own, near.shapedirs[..., own.shape[2] :]], dim=2)
    return Anchors(
        near.faces,
        near.bary,
        points,
        near.normals,
        weights,
        directions,
        weights[:, HEAD_JOINTS].sum(1) > 0.5,
    )


def predict(
    reconstruction: Reconstruction,
    image: Float[Tensor, "H W 3"],
    mask: Float[Tensor, "H W"],
    photo_body: PhotoBody,
    body: BodyModel,
    anchors: Anchors,
) -> Gaussians:
    """One Gaussian per anchor from one photo, in the T-pose of the shaped body.

    Args:
        image: in [0, 1].
        mask: person coverage in [0, 1].
        photo_body: the person in this photo; betas, pose, transl and camera are read.
        anchors: of `make_anchors(reconstruction, body)`.

    Raises:
        InputError: an empty mask, NaN, or anchors of another body or checkpoint.
    """
    if anchors.points.shape != reconstruction.points.shape or not torch.allclose(
        anchors.points, reconstruction.points, atol=1e-4
    ):
        fail(
            "Anchors",
            got=f"{len(anchors)} that are not this checkpoint's points",
            wanted=f"its {len(reconstruction.points)} query points",
            fix="Make them with toolkit.coarse.lhm.make_anchors(reconstruction, body).",
        )
    image, mask = torch.as_tensor(image).float(), torch.as_tensor(mask).float()
    output = reconstruct(
        reconstruction, image, mask, head_vertices(photo_body, body), photo_body.camera
    )
    betas = photo_body.betas.detach().float()
    num = min(len(betas), reconstruction.model.config.betas)
    gaussians = zero_pose(reconstruction.model, output, betas[:num]).to("cpu")
    # LHM stops at 10 betas, our bodies have more: the further ones move the means along the body
    further = anchors.shapedirs[..., num : len(betas)] @ betas[num:]
    return gaussians.replace(means=gaussians.means + further)


def reconstruct(
    reconstruction: Reconstruction,
    image: Float[Tensor, "H W 3"],
    mask: Float[Tensor, "H W"],
    head: Float[Tensor, "V 3"],
    camera: Cameras,
) -> LHMOutput:
    """Photo to the network's output: prepare, encode, run; independent of shape and pose.

    Args:
        head: vertices of the head in the photo's world, metres; they say where its crop lies.
        camera: of the photo.
    """
    device = reconstruction.model.pcl_embed.mlp.weight.device
    framed = frame_person(image, mask, source_px=reconstruction.source_px)
    crop = crop_head(image, head_box(head, camera))
    body_tokens = reconstruction.body_encoder(body_input(framed).to(device))
    head_tokens = reconstruction.head_encoder(head_input(crop).to(device))
    return forward(reconstruction.model, body_tokens, head_tokens, reconstruction.points)


def head_vertices(photo_body: PhotoBody, body: BodyModel) -> Float[Tensor, "V 3"]:
    """The head's visible vertices, posed as in the photo, metres."""
    vertices = body(photo_body.betas, photo_body.pose, photo_body.transl).vertices
    seen = body.faces_body.unique()  # without mouth cavity and the like
    return vertices[seen[body.lbs_weights[seen][:, HEAD_JOINTS].sum(1) > 0.5]]
