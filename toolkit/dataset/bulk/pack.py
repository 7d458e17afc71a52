"""The last stage: a person as the files of a shard.

json                  attributes, prompt, picture, body, camera, metrics
photo.webp, mask.png
gaussians.npz         coarse and refined, see `quantise`
thumb_photo.jpg, thumb_coarse.jpg, thumb_front.jpg, thumb_back.jpg
"""

import json
from collections.abc import Sequence

import torch

from toolkit.body.rig import Avatar
from toolkit.dataset.bulk.config import TRIED
from toolkit.dataset.bulk.measures import round_trip_db
from toolkit.dataset.bulk.pictures import png, thumbnail
from toolkit.dataset.bulk.quantise import MIN_DB, STEPS, decode, encode
from toolkit.dataset.bulk.recipe import Packed, Rejected
from toolkit.dataset.bulk.steps import THUMB_PX, AvatarModels, Draft, numbers
from toolkit.prior.orbit import static_orbit, turntable_cameras
from toolkit.refine.turntable import pose_for_turntable
from toolkit.render.api import render


def pack_person(models: AvatarModels, draft: Draft) -> Packed:
    """All files of a person, with the measured loss of storing the Gaussians."""
    body = draft.body
    gaussians, loss = store(draft, TRIED[models.config.steps])
    camera = {"viewmat": body.camera.viewmats[0], "K": body.camera.Ks[0]}
    fitted = {"betas": body.betas, "pose": body.pose, "transl": body.transl}
    content = {
        "index": draft.record.index,
        "seed": draft.record.seed,
        "attributes": draft.record.values,
        "prompt": {
            name: value
            for name, value in draft.prompt.to_json().items()
            if name not in ("index", "seed", "values")  # said above
        },
        "image": draft.image,
        "image_hash": draft.image_hash,
        "camera": numbers(camera) | {"width": body.camera.width, "height": body.camera.height},
        "body": numbers(fitted) | {"joints": numbers({"": draft.coarse.rig.joints})[""]},
        "true_body": draft.truth,
        "metrics": draft.metrics | {"round_trip_psnr_db": loss},
        "num_gaussians": len(draft.coarse.gaussians),
    }
    return Packed(
        {
            "json": json.dumps(content, sort_keys=True, separators=(",", ":")).encode(),
            "photo.webp": draft.photo,
            "mask.png": png(body.mask),
            "gaussians.npz": gaussians,
            **thumbnails(draft),
        }
    )


def store(draft: Draft, tried: Sequence[str]) -> tuple[bytes, float]:
    """Both avatars as bytes, and the PSNR of storing them in decibels.

    Args:
        draft: with both avatars.
        tried: names of steps; the first that loses little enough is taken.

    Raises:
        Rejected: all of them lose too much.
    """
    avatars = [draft.coarse, draft.refined]
    for name in tried:
        data = encode(*(avatar.gaussians for avatar in avatars), STEPS[name])
        loss = round_trip_db(avatars, list(decode(data)), draft.body)
        if loss >= MIN_DB:
            return data, loss
    raise Rejected("storing loses too much", f"{loss:.1f} dB, wanted {MIN_DB}")


def thumbnails(draft: Draft) -> dict[str, bytes]:
    """The photo, the coarse avatar from the front, the refined one from the front and the back."""
    (coarse,) = _around(draft.coarse, [0])
    front, back = _around(draft.refined, [0, 2])
    pictures = {"photo": draft.picture.rgb, "coarse": coarse, "front": front, "back": back}
    return {f"thumb_{name}.jpg": thumbnail(p, THUMB_PX) for name, p in pictures.items()}


@torch.no_grad()
def _around(avatar: Avatar, views: list[int]) -> torch.Tensor:
    """Views of the A pose: 0 is the front, 2 the back."""
    cameras = turntable_cameras(static_orbit(4), size=(256, 128))[views]
    return render(pose_for_turntable(avatar), cameras).rgb
