"""How far an avatar lies off its photo.

Fig. 2 of the paper shows that the coarse avatar does not lie on the photo, but not why. We measure
it twice: on the estimated body, and on the true one (`Bench.on_true_body`). There the shape, pose
and camera with which the photo was made replace the estimated ones, and nothing else changes. The
misalignment that remains on the true body is the model's error; the difference is the body fit's.
"""

import torch

from toolkit.body.rig import Avatar
from toolkit.evaluate.bench import Bench
from toolkit.measure.misalignment import measure_misalignment
from toolkit.render.api import render


def photo_misalignment(bench: Bench, avatar: Avatar) -> dict[str, float]:
    """How far the avatar lies off its photo, posed by the bench's body and seen by its camera.

    Returns:
        Measure -> value; `texture_offset_px` is in photo pixels. A measure without a value, because
        nothing could be matched, is left out.
    """
    body = bench.body
    with torch.no_grad():
        drawn = render(avatar.posed(body.pose, body.transl), body.camera)
    measured, _ = measure_misalignment(drawn.rgb[0], drawn.alpha[0], bench.picture.rgb, body.mask)
    values = {
        "texture_offset_px": measured.shift_px,
        "texture_offset_percent": measured.shift_percent,
        "photo_iou": measured.iou,
        "photo_psnr": measured.psnr_db,
    }
    return {name: value for name, value in values.items() if value == value}  # NaN is not itself
