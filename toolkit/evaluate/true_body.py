"""The same avatars on the true body: what of an error comes from the body fit, what from the model.

Fig. 2 of the paper shows that the coarse avatar does not lie on the photo, not why. Here the cause
is taken away: shape, pose and camera that the photo was made with replace the estimated ones, and
nothing else changes. What is then still off is the model's; the rest came from the body fit.
"""

from dataclasses import replace

import torch

from toolkit.body.rig import Avatar
from toolkit.evaluate.cases import Case
from toolkit.evaluate.variants import Bench
from toolkit.measure.misalignment import measure_misalignment
from toolkit.photo.photo_body import PhotoBody
from toolkit.pipeline import Job
from toolkit.render.api import render
from toolkit.run.folder import RunFolder


def true_photo_body(case: Case, estimated: PhotoBody) -> PhotoBody:
    """The body and camera of the photo as they were; mask and points stay the pipeline's own."""
    person = case.person
    return replace(
        estimated,
        betas=person.betas,
        pose=person.pose,
        transl=person.transl,
        camera=case.photo_camera,
    )


def on_true_body(bench: Bench) -> Bench:
    """A bench of its own, with stages in a folder of their own, that starts from the true body."""
    job = bench.job
    folder = RunFolder(job.folder.path.with_name("job_true_body"), key=job.folder.key, resume=True)
    twin = Job(job.config, job.profile, job.photo, job.person, folder)
    twin.anchors = job.anchors
    other = Bench(twin, bench.case)
    other.body = true_photo_body(bench.case, bench.body)
    return other


def photo_misalignment(bench: Bench, avatar: Avatar) -> dict[str, float]:
    """How far the avatar lies off its photo, in the photo's view and by the bench's body.

    `texture_offset_px` is in photo pixels; a measure that found nothing to match is left out.
    """
    body = bench.body
    with torch.no_grad():
        drawn = render(avatar.posed(body.pose, body.transl), body.camera)
    found, _ = measure_misalignment(drawn.rgb[0], drawn.alpha[0], bench.job.photo.rgb, body.mask)
    values = {
        "texture_offset_px": found.shift_px,
        "texture_offset_percent": found.shift_percent,
        "photo_iou": found.iou,
        "photo_psnr": found.psnr_db,
    }
    return {name: value for name, value in values.items() if value == value}
