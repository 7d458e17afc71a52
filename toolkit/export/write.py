"""One avatar to the files of other programs: which format is written by which function."""

import os
from pathlib import Path

from toolkit.body.motion import Motion
from toolkit.body.npz import load_body
from toolkit.errors import fail
from toolkit.export.axes import with_up
from toolkit.export.bundle import write_bundle
from toolkit.export.formats import SPLAT_FORMATS, default_path
from toolkit.export.glb_mesh import write_glb_mesh
from toolkit.export.glb_splats import write_glb_splats
from toolkit.export.proxy import make_proxy
from toolkit.export.splats import write_splats
from toolkit.export.subject import Subject, choose_pose
from toolkit.gaussians import save_ply


def export_avatar(
    subject: Subject,
    path: str | os.PathLike,
    kind: str,
    *,
    pose: str | None = None,
    motion: str | None = None,
    frame: int | None = None,
    up: str = "y",
) -> list[Path]:
    """Write an avatar in one of `FORMATS`.

    Args:
        subject: the avatar and its folder.
        path: of the file; `glb` also writes the mesh beside it, as NAME_mesh.glb.
        kind: one of `FORMATS`.
        pose: see `choose_pose`; formats that hold a skeleton keep the T-pose.
        motion: a motion file or the name of a clip.
        frame: of the motion, which is then baked in; left out: the motion itself goes into the
            formats that can hold one (glb, html), and its first frame into the others.
        up: "y", or "-y" for viewers that turn scenes upside down; for ply and its relatives.

    Returns:
        The files written.

    Raises:
        ToolkitError: whatever a user can fix; nothing is then half-written.
    """
    path = Path(path)
    default_path(".", kind)
    if up != "y" and kind not in ("ply", *SPLAT_FORMATS):
        fail("up", got=f"{up} for {kind}", wanted="y", fix="Only ply, spz, splat and sog turn.")
    if kind == "html":
        if pose is not None or frame is not None:
            fail("html", got="a pose", wanted="a motion", fix="The page plays clips: --motion FILE")
        from toolkit.export.page import write_page

        write_page(subject, path, motion)
        return [path]
    chosen = choose_pose(subject, pose, motion, frame or 0)
    if kind == "bundle":
        write_bundle(subject, path, *chosen)
        return [path]
    gaussians = with_up(subject.avatar.posed(*chosen).detach(), up)
    if kind == "ply":
        save_ply(gaussians, path)
    elif kind in SPLAT_FORMATS:
        write_splats(gaussians, path, kind)
    else:
        clip = _clip(subject, motion) if motion and frame is None else None
        mesh = path.with_name(f"{path.stem}_mesh.glb")
        rig = subject.avatar.rig
        write_glb_mesh(make_proxy(subject.avatar, load_body()), rig, mesh, motion=clip)
        write_glb_splats(gaussians, path, subject.name)
        return [path, mesh]
    return [path]


def _clip(subject: Subject, motion: str) -> Motion:
    from toolkit.body.motion_import import import_motion

    return import_motion(motion, subject.skeleton).motion
