"""The whole full profile with tiny random weights, on the GPU and on the CPU.

    python -m tools.upkeep.gpu_check_job

As a script it detects the person of the sample photo once more and stores what it found.
"""

import os
import sys
import types
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from toolkit.photo.detection.keypoints import Detection
from toolkit.photo.load import read_photo
from toolkit.prior.sdedit import SDEditConfig
from toolkit.profiles.base import PipelineConfig
from toolkit.profiles.choose import load_profile
from toolkit.refine.refit import FitConfig
from toolkit.run.files import atomic_path, sample_path
from tools.command import run
from tools.upkeep.gpu_check_bench import Bench, Values, cost, relative_error, sound
from tools.upkeep.tiny_weights import write_body, write_lhm, write_pose, write_wan

PERSON = "person_detection.npz"  # the person in the sample photo, so that no detector is needed
SIZE, NUM_VIEWS, NUM_STEPS = (64, 32), 5, 3


def save_person() -> None:
    """Detect the person of the sample photo once, and store points and mask (8 bits)."""
    from toolkit.photo.detection.keypoints import detect

    found = detect(read_photo(sample_path("person.jpg")).rgb)
    path = sample_path("person.jpg").with_name(PERSON)
    with atomic_path(path) as tmp, Path(tmp).open("wb") as file:
        np.savez_compressed(
            file,
            keypoints=found.keypoints.astype(np.float32),
            world=found.world.astype(np.float32),
            mask=np.round(255 * found.mask).astype(np.uint8),
            box=found.box,
            score=found.score,
        )


def saved_person() -> Detection:
    """What `save_person` stored."""
    with np.load(sample_path(PERSON)) as stored:
        return Detection(
            stored["keypoints"],
            stored["world"],
            np.float32(stored["mask"]) / 255,
            stored["box"],
            float(stored["score"]),
        )


def write_weights(folder: Path) -> Path:
    """Tiny random weights of the four stages; those of the data set are left out."""
    for write in (write_body, write_pose, write_lhm, write_wan):
        write(folder)
    return folder


def stages(bench: Bench, device: str) -> dict[str, torch.Tensor]:
    """From the photo to refined Gaussians; what each stage made, on the CPU."""
    if find_spec("imageio_ffmpeg") is None:  # the pipeline imports it for films, and we make none
        absent = types.ModuleType("imageio_ffmpeg")
        absent.read_frames = absent.write_frames = None
        sys.modules["imageio_ffmpeg"] = absent
    from toolkit import pipeline

    with mock.patch.dict(os.environ, {"TOOLKIT_DEVICE": device}):
        profile = load_profile("full")
    config = PipelineConfig(
        profile="full",
        num_views=NUM_VIEWS,
        clip_size=SIZE,
        edit=SDEditConfig(strength=0.8, num_inference_steps=NUM_STEPS, shift=3.0),
        fit=FitConfig(steps=bench.sizes.job_fit_steps),
    ).resolved(profile)
    photo, person = read_photo(sample_path("person.jpg")), saved_person()
    body = profile.fit_body(photo, person)
    anchors = profile.make_anchors(config.num_gaussians)
    coarse = pipeline.predict_coarse(profile, photo, body, anchors)
    visible = pipeline.seen_anchors(photo, body, profile, anchors)
    turntable = pipeline.make_turntable(coarse, visible, config, profile)
    clip = pipeline.edit_turntable(turntable, config, profile)
    targets = pipeline.make_targets(photo, body, coarse, turntable, clip)
    refined = pipeline.refit(coarse, targets, config.fit, config.seed, profile.device)
    made = {"pose": body.pose, "betas": body.betas, "coarse means": coarse.gaussians.means}
    made |= {"coarse colours": coarse.gaussians.sh, "turntable": turntable.rgb}
    made |= {"clip": clip.frames, "refined means": refined.gaussians.means}
    return made | {"refined colours": refined.gaussians.sh}


def job(bench: Bench) -> Values:
    """The whole job on the GPU against the CPU; in a rehearsal once, on the CPU."""
    variables = {"TOOLKIT_WEIGHTS": str(write_weights(bench.folder / "tiny-weights"))}
    with mock.patch.dict(os.environ, variables):
        here, seconds, _ = cost("cpu", lambda: stages(bench, "cpu"))
        values: Values = {"CPU s": seconds}
        if bench.on_gpu:
            there, seconds, peak = cost(bench.device, lambda: stages(bench, bench.device))
            values |= {"GPU s": seconds, "GPU GB": peak}
            values["finite on the GPU"] = sound(*there.values())
            for name, value in here.items():
                values[f"{name} off by %"] = 100 * relative_error(there[name], value)
    return values | {"finite": sound(*here.values())}


if __name__ == "__main__":
    raise SystemExit(run(save_person))
