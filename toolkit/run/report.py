"""What a run leaves to look at: the comparison sheet, the films, and the numbers of the report."""

import platform
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Tensor

from toolkit import __version__
from toolkit.body.motion import load_clip
from toolkit.body.rig import Avatar
from toolkit.measure.blur import compare_sharpness, measure_sharpness, reference_sharpness
from toolkit.measure.drift import measure_drift
from toolkit.measure.misalignment import measure_misalignment
from toolkit.measure.sectors import azimuths_deg
from toolkit.photo.load import Photo
from toolkit.photo.photo_body import PhotoBody
from toolkit.prior.orbit import static_orbit, turntable_cameras
from toolkit.profiles.base import PipelineConfig, Profile
from toolkit.refine.invented import invented_anchors, invented_shares
from toolkit.refine.turntable import pose_for_turntable, seen_by_photo
from toolkit.render.api import Render, render
from toolkit.run.folder import Record
from toolkit.show.comparison import StageViews, compare_figure
from toolkit.show.export import write_video
from toolkit.show.film import animate, side_by_side
from toolkit.show.style import save_figure
from toolkit.weights.licences import licences_of

FILM_SIZE = (512, 256)  # height and width of the turntable films, pixels
FILM_FRAMES = 48
SHOWN = [0, 3, 6]  # of 12 views: front, side and back
DRAWINGS = 5  # two turntables, the motions, the diagnoses, the comparison sheet
HEAD_AND_ANKLES = [15, 7, 8]  # joints
MOTIONS = ("walk", "dance_a")
PACKAGES = ("torch", "numpy", "numba", "diffusers", "gsplat")


def film_turntable(avatar: Avatar, path: Path) -> None:
    """A smooth turn of the A-posed avatar as a video."""
    cameras = turntable_cameras(static_orbit(FILM_FRAMES), size=FILM_SIZE)
    with torch.no_grad():
        write_video(path, render(pose_for_turntable(avatar), cameras).rgb, fps=16)


def film_motions(avatar: Avatar, path: Path) -> None:
    """A walk and a dance next to each other as a video."""
    write_video(path, side_by_side([animate(avatar, load_clip(name)) for name in MOTIONS]), fps=12)


class Diagnosis:
    """One avatar looked at: in the photo's own view, and from all sides in the A pose.

    These are the two faults that the paper names: misalignment with the photo, and blur on the
    sides that the photo does not show.
    """

    def __init__(
        self,
        name: str,
        avatar: Avatar,
        photo: Photo,
        body: PhotoBody,
        invented: Bool[Tensor, " N"] | None = None,
    ):
        self.name, self.invented = name, None
        self.posed = avatar.posed(body.pose, body.transl)
        cameras = turntable_cameras(static_orbit(12), size=FILM_SIZE)
        with torch.no_grad():
            self.own: Render = render(self.posed, body.camera)
            around = pose_for_turntable(avatar)
            self.around: Render = render(around, cameras)
            if invented is not None and invented.any():
                self.invented = seen_by_photo(around, invented, cameras[SHOWN])[..., 0] > 0.5
        self.misalignment, self.shifts = measure_misalignment(
            self.own.rgb[0], self.own.alpha[0], photo.rgb, body.mask
        )
        self.sharpness = measure_sharpness(
            self.around.rgb, self.around.alpha, azimuths_deg(cameras)
        )

    def views(self) -> StageViews:
        """Front, side and back for the comparison sheet."""
        return StageViews(
            self.name,
            self.own.rgb[0],
            self.own.alpha[0, ..., 0],
            self.around.rgb[SHOWN],
            self.misalignment,
            self.shifts,
            self.sharpness.by_sector(),
            self.invented,
        )


def draw_report(
    folder: Path,
    photo: Photo,
    body: PhotoBody,
    coarse: Avatar,
    refined: Avatar,
    tick: Callable[[], None],
    visible: Bool[Tensor, " N"],
) -> Record:
    """Films and comparison sheet, written into `folder`; returns the numbers beside them.

    Args:
        visible: anchors that the photo saw.
        tick: called after each of the `DRAWINGS`.
    """
    for avatar, name in ((coarse, "coarse"), (refined, "refined")):
        film_turntable(avatar, folder / f"turntable_{name}.mp4")
        tick()
    film_motions(refined, folder / "animation.mp4")
    tick()
    invented = invented_anchors(coarse.rig, visible)
    first = Diagnosis("coarse", coarse, photo, body, invented)
    second = Diagnosis("refined", refined, photo, body, invented)
    tick()
    draw_comparison(folder / "compare.png", photo, body, [first, second])
    return Record(
        {
            "misalignment": {
                "coarse": first.misalignment.to_dict(),
                "refined": second.misalignment.to_dict(),
            },
            "sharpness": compare_sharpness(first.sharpness, second.sharpness),
            "drift": measure_drift(first.posed, second.posed).to_dict(),
            "invented": invented_shares(coarse.rig, invented),
        }
    )


def draw_comparison(path: Path, photo: Photo, body: PhotoBody, diagnoses: list[Diagnosis]) -> None:
    """`compare.png`: photo, coarse, refined, and what the diagnoses found."""
    whole = bool(body.seen[HEAD_AND_ANKLES].all())  # half a person is no measure for all of it
    sharpness = None
    if whole:
        sharpness = reference_sharpness(photo.rgb, body.mask, diagnoses[0].around.alpha[0])
    views = [diagnosis.views() for diagnosis in diagnoses]
    save_figure(compare_figure(photo.rgb, body.mask, views, photo_sharpness=sharpness), path)


def describe_run(config: PipelineConfig, profile: Profile) -> dict:
    """Settings, models and versions: what somebody needs to repeat the run."""
    return {
        "profile": profile.name,
        **profile.models,
        **getattr(profile, "notes", {}),
        "licences": licences_of(profile.models),
        "config": asdict(config),
        "start_sigma": config.edit.start_sigma,
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Toolkit, Python and the packages that can change a result."""
    names = {
        "toolkit": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    for name in PACKAGES:
        try:
            names[name] = version(name)
        except PackageNotFoundError:
            names[name] = "not installed"
    return names
