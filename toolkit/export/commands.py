"""The commands `export` and `animate`; they load what they need when they run."""

from pathlib import Path
from typing import Annotated

import typer

from toolkit.body.motion_source import check_source
from toolkit.errors import fail
from toolkit.export.formats import default_path

POSES = ("t", "a", "photo")
FILMS = (".mp4", ".gif", ".webp")
AvatarPath = Annotated[Path, typer.Argument(help="an avatar.npz, or the folder of a run")]


def export(  # noqa: PLR0913 - one argument per option
    avatar: AvatarPath,
    kind: Annotated[
        str, typer.Option("--format", help="ply, spz, splat, sog, glb, html or bundle")
    ],
    out: Annotated[Path | None, typer.Option(help="the file; else beside the avatar")] = None,
    pose: Annotated[str | None, typer.Option(help="t, a, photo, or a file")] = None,
    motion: Annotated[str | None, typer.Option(help="a motion file, or a clip's name")] = None,
    frame: Annotated[int | None, typer.Option(help="of the motion, baked in as a pose")] = None,
    up: Annotated[str, typer.Option(help="y, or -y for SuperSplat (ply, spz, splat, sog)")] = "y",
) -> None:
    """Write AVATAR in the format of another program, in the T-pose unless told otherwise."""
    _must_exist(avatar)
    path = default_path(avatar if avatar.is_dir() else avatar.parent, kind)
    for source in (motion, None if pose in POSES else pose):
        if source is not None:
            check_source(source)
    path = out or path

    from toolkit.export.subject import load_subject
    from toolkit.export.write import export_avatar

    files = export_avatar(
        load_subject(avatar), path, kind, pose=pose, motion=motion, frame=frame, up=up
    )
    for file in files:
        typer.echo(f"{file}  {file.stat().st_size / 1e6:.2f} MB")


def animate(  # noqa: PLR0913 - one argument per option
    avatar: AvatarPath,
    motion: Annotated[str, typer.Option(help="npz, bvh, json or a folder of it, or a clip's name")],
    out: Annotated[Path, typer.Option(help="film.mp4, .gif or .webp")],
    seconds: Annotated[
        float | None, typer.Option(help="of the film; else the motion's own length, 60 s at most")
    ] = None,
    fps: Annotated[float, typer.Option(help="frames per second of the film")] = 15.0,
    speed: Annotated[float, typer.Option(help="2 plays it twice as fast")] = 1.0,
    size: Annotated[str, typer.Option(help="HEIGHTxWIDTH in pixels")] = "512x384",
    azimuth: Annotated[float, typer.Option(help="of the camera, degrees; 0 sees the face")] = 30.0,
    turn: Annotated[float, typer.Option(help="degrees by which the camera goes round")] = 0.0,
    radius: Annotated[float, typer.Option(help="metres from the camera to the person")] = 5.2,
    loop: Annotated[bool, typer.Option("--loop/--once", help="of a GIF or WebP")] = True,
    foot_lock: Annotated[bool, typer.Option("--foot-lock", help="feet do not slide")] = False,
    up: Annotated[str | None, typer.Option(help="axis of the motion file: y, z, -y")] = None,
    motion_fps: Annotated[float | None, typer.Option(help="if the file does not say")] = None,
) -> None:
    """Film AVATAR while it plays a motion from a file or one of our clips."""
    if out.suffix.lower() not in FILMS:
        fail("film", got=f"the name {out}", wanted=", ".join(FILMS), fix="Try --out film.mp4")
    _must_exist(avatar)
    height_width = _frame_size(size)
    for name, value in (("fps", fps), ("speed", speed), ("radius", radius), ("seconds", seconds)):
        if value is not None and not 0 < value < 1000:
            fail(name, got=value, wanted="more than 0, less than 1000", fix=f"Leave --{name} out.")
    check_source(motion)

    from toolkit.export.film import FilmOptions, film_motion

    options = FilmOptions(
        height_width, seconds, fps, speed, azimuth, turn, radius, loop, foot_lock, up, motion_fps
    )
    for line in film_motion(avatar, motion, out, options):
        typer.echo(line)


def _must_exist(avatar: Path) -> None:
    """A missing file is told before the heavy packages are loaded."""
    from toolkit.errors import MissingFileError

    if not avatar.exists():
        raise MissingFileError(
            f"{avatar} does not exist. "
            "Make an avatar with: python -m toolkit avatar PHOTO --out DIR"
        )


def _frame_size(text: str) -> tuple[int, int]:
    """Height and width of "512x384"."""
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(s.isdecimal() and 16 <= int(s) <= 4096 for s in sides):
        fail("size", got=repr(text), wanted="HEIGHTxWIDTH, 16 to 4096 pixels", fix="Try 512x384.")
    return int(sides[0]), int(sides[1])
