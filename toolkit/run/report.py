"""What a run leaves to look at: the comparison sheet, the films, and the numbers of the report."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from toolkit import __version__
from toolkit.body.motion import load_clip
from toolkit.body.rig import Avatar
from toolkit.measure.blur import compare_sharpness, measure_sharpness, reference_sharpness
from toolkit.measure.drift import measure_drift
from toolkit.measure.misalignment import measure_misalignment
from toolkit.measure.sectors import azimuths_deg
from toolkit.photo.photo_body import PhotoBody
from toolkit.prior.orbit import static_orbit, turntable_cameras
from toolkit.refine.turntable import pose_for_turntable
from toolkit.render.api import Render, render
from toolkit.show.animate import animate, side_by_side
from toolkit.show.export import write_video
from toolkit.show.figures import StageViews, compare_figure, save_figure

FILM_SIZE = (512, 256)  # height and width of the turntable films, pixels
FILM_FRAMES = 48
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


class Examination:
    """One avatar looked at: in the photo's own view, and all around in the A pose."""

    def __init__(self, name: str, avatar: Avatar, photo, body: PhotoBody):
        self.name = name
        self.posed = avatar.posed(body.pose, body.transl)
        cameras = turntable_cameras(static_orbit(12), size=FILM_SIZE)
        with torch.no_grad():
            self.own: Render = render(self.posed, body.camera)
            self.around: Render = render(pose_for_turntable(avatar), cameras)
        self.misalignment, self.shifts = measure_misalignment(
            self.own.rgb[0], self.own.alpha[0], photo, body.mask
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
            self.around.rgb[[0, 3, 6]],
            self.misalignment,
            self.shifts,
            self.sharpness.by_sector(),
        )


def draw_comparison(path: Path, photo, body: PhotoBody, exams: list[Examination]) -> None:
    """`compare.png`: photo, coarse, refined, and the diagnostics beside them."""
    whole = bool(body.seen[HEAD_AND_ANKLES].all())  # half a person is no measure for all of it
    sharpness = reference_sharpness(photo, body.mask, exams[0].around.alpha[0]) if whole else None
    save_figure(
        compare_figure(
            photo, body.mask, [exam.views() for exam in exams], photo_sharpness=sharpness
        ),
        path,
    )


def numbers(coarse: Examination, refined: Examination) -> dict:
    """Misalignment, sharpness by sector and drift of the Gaussians, before and after."""
    return {
        "misalignment": {
            "coarse": coarse.misalignment.to_dict(),
            "refined": refined.misalignment.to_dict(),
        },
        "sharpness": compare_sharpness(coarse.sharpness, refined.sharpness),
        "drift": measure_drift(coarse.posed, refined.posed).to_dict(),
    }


def versions() -> dict[str, str]:
    """Toolkit, Python and the packages that can change a result."""
    found = {
        "toolkit": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
