"""The command `animate`: a motion from outside, an avatar, and a film of both."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

from toolkit.body.motion import Motion
from toolkit.body.motion_feet import lock_feet
from toolkit.body.motion_import import import_motion
from toolkit.body.motion_report import report_motion
from toolkit.export.subject import load_subject
from toolkit.run.progress import Progress
from toolkit.show.film import AnimationConfig, animate
from toolkit.show.loops import write_film

LONGEST_S = 60.0  # of a film whose length nobody chose


@dataclass(frozen=True)
class FilmOptions:
    """How a motion is played and filmed.

    Attributes:
        size: height and width of a frame, pixels.
        seconds: of the film; None takes the motion's own length, at most 60 s.
        fps: frames per second of the film.
        speed: 2 plays the motion twice as fast.
        azimuth_deg: of the camera at the start; 0 sees the face.
        turn_deg: by which the camera goes round the person.
        radius_m: from the camera to the person.
        loop: a GIF or WebP starts again at its end.
        foot_lock: change the path on the floor so that standing feet do not slide.
        up: axis of the motion file that points up; None finds it out.
        motion_fps: frames per second of the motion file, in place of what it says.
    """

    size: tuple[int, int] = (512, 384)
    seconds: float | None = None
    fps: float = 15.0
    speed: float = 1.0
    azimuth_deg: float = 30.0
    turn_deg: float = 0.0
    radius_m: float = 5.2
    loop: bool = True
    foot_lock: bool = False
    up: str | None = None
    motion_fps: float | None = None


def film_motion(
    avatar: str | os.PathLike,
    motion: str,
    out: str | os.PathLike,
    options: FilmOptions | None = None,
) -> Iterator[str]:
    """Film an avatar that plays a motion file, and say line by line what was found and done.

    Args:
        avatar: an `avatar.npz`, or the folder of a run.
        motion: a file, or the name of one of our clips.
        out: a .mp4, .gif or .webp file.
        options: None takes the defaults.

    Raises:
        ToolkitError: whatever a user can fix; nothing is then half-written.
    """
    options = options or FilmOptions()
    subject = load_subject(avatar)
    skeleton = subject.skeleton
    found = import_motion(motion, skeleton, fps=options.motion_fps, up=options.up)
    yield ", ".join(f"{key}: {value}" for key, value in found.notes.items())
    yield from report_motion(found.motion, skeleton).lines()
    clip = found.motion
    if options.foot_lock:
        clip = lock_feet(clip, skeleton)
        left = report_motion(clip, skeleton).skating_m_per_s
        yield f"after the foot lock soles slide at {100 * left:.0f} cm/s"
    clip = Motion(clip.poses, clip.transl, clip.fps * options.speed)
    seconds = options.seconds or min(LONGEST_S, len(clip) / clip.fps)
    config = replace(
        AnimationConfig(),
        size=options.size,
        fps=options.fps,
        seconds=seconds,
        azimuth_deg=options.azimuth_deg,
        turn_deg=options.turn_deg,
        radius_m=options.radius_m,
    )
    with Progress("film", max(1, int(seconds * options.fps))) as advance:
        frames = animate(subject.avatar, clip, config, callback=advance)
    write_film(out, frames, options.fps, loop=options.loop)
    yield f"{out}: {len(frames)} frames, {len(frames) / options.fps:.1f} s"
