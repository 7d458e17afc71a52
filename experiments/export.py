"""What does each export format keep of an avatar, and who else can read it?

    python -m experiments.export                # makes an avatar of the sample photo first
    python -m experiments.export runs/demo      # of a run that is there

The avatar is written in every format and read back, by us and by other people's programs; PSNR
compares renders of both from three sides. Programs that are not installed leave their cells empty.
"""

import base64
import json
import math
import os
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from experiments.browser import Browser, chromium_path
from experiments.document import EXPORT_PAGE, Out, TableOnly, markdown_table, number, publish
from experiments.export_foreign import foreign_pictures, through_splat_transform, validate_gltf
from toolkit import cli
from toolkit.body.model import joint_transforms, lbs
from toolkit.body.motion import load_clip, t_pose
from toolkit.body.npz import load_body
from toolkit.body.rotations import rodrigues
from toolkit.cameras import Cameras, orbit_cameras
from toolkit.errors import ToolkitError
from toolkit.export.glb_splats import read_glb_splats
from toolkit.export.proxy import make_proxy
from toolkit.export.splats import SPLAT_FORMATS, read_splats
from toolkit.export.subject import Subject, load_subject
from toolkit.export.write import export_avatar
from toolkit.gaussians import Gaussians
from toolkit.render.api import render
from toolkit.render.mesh import rasterize_mesh
from toolkit.run.files import sample_path
from tools.command import run

AZIMUTHS, SIZE, FOV, RADIUS_M = (0.0, 70.0, 200.0), 256, 28.0, 4.0
GOAL_DB, PAGE_GOAL_DB, PAGE_GOAL_FPS = 45, 35, 30
POSES = (("t", 0), ("dance_a", 20), ("kick", 22))


def cameras() -> Cameras:
    """Three sides."""
    return orbit_cameras(AZIMUTHS, [0.0] * 3, radius_m=RADIUS_M, fov_y_deg=FOV, size=(SIZE, SIZE))


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    """PSNR of renders in dB; equal ones count as 150."""
    error = float(((a.clamp(0, 1) - b.clamp(0, 1)) ** 2).mean())
    return -10 * math.log10(max(error, 1e-15))


def measure(folder: Path | None) -> dict:
    """Every format of one avatar in the pose of a dance."""
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary)
        if folder is None:
            folder = out / "run"
            if code := cli.main(["avatar", str(sample_path("person.jpg")), "--out", str(folder)]):
                raise ToolkitError(f"python -m toolkit avatar ended with exit code {code}")
        subject = load_subject(folder)
        clip = load_clip("dance_a")
        truth = subject.avatar.posed(clip.poses[20], clip.transl[20])
        pictures = render(truth, cameras()).rgb
        rows = {kind: _splats(subject, kind, out, pictures) for kind in ("ply", *SPLAT_FORMATS)}
        rows["glb"] = _glb(subject, out, pictures)
        return {
            "gaussians": len(truth),
            "rows": rows,
            "mesh": _mesh(subject, out),
            "page": _page(subject, out),
        }


def _splats(subject: Subject, kind: str, out: Path, pictures: torch.Tensor) -> dict:
    path = out / f"avatar.{kind}"
    export_avatar(subject, path, kind, motion="dance_a", frame=20)
    back = Gaussians.load_ply(path) if kind == "ply" else read_splats(path)
    foreign = through_splat_transform(path)
    return {
        "megabytes": path.stat().st_size / 1e6,
        "psnr_db": psnr(render(back, cameras()).rgb, pictures),
        "foreign": "splat-transform" if foreign else None,
        "foreign_psnr_db": psnr(render(foreign, cameras()).rgb, pictures) if foreign else None,
    }


def _views() -> list[dict]:
    return [{"eye": eye, "fov": FOV} for eye in cameras().centers.tolist()]


def _glb(subject: Subject, out: Path, pictures: torch.Tensor) -> dict:
    path = out / "avatar.glb"
    export_avatar(subject, path, "glb", motion="dance_a", frame=20)
    found = foreign_pictures("babylon.html", "@babylonjs/loaders", out, _views())
    return {
        "megabytes": path.stat().st_size / 1e6,
        "psnr_db": psnr(render(read_glb_splats(path), cameras()).rgb, pictures),
        "foreign": "Babylon.js, its own renderer" if found else None,
        "foreign_psnr_db": psnr(found[1], pictures) if found else None,
        "foreign_count": found[0] if found else None,
    }


def _mesh(subject: Subject, out: Path) -> dict:
    """The proxy mesh against the Gaussians, and in three.js, at one moment of its animation."""
    path, frame = out / "avatar_mesh.glb", 20
    export_avatar(subject, out / "avatar.glb", "glb", motion="dance_a")
    clip, rig = load_clip("dance_a"), subject.avatar.rig
    mesh = make_proxy(subject.avatar, load_body())
    weights = torch.zeros(len(mesh.vertices), 55).scatter_(1, mesh.joint_ids, mesh.weights)
    transforms = joint_transforms(rodrigues(clip.poses[frame]), rig.joints, rig.parents)
    vertices = lbs(mesh.vertices, weights, transforms) + clip.transl[frame]
    views = [rasterize_mesh(vertices.numpy(), mesh.faces.numpy(), cameras()[i]) for i in range(3)]
    ours = torch.stack([_colored(view, mesh) for view in views])
    seen = np.stack([view.mask for view in views])
    splats = render(subject.avatar.posed(clip.poses[frame], clip.transl[frame]), cameras())
    solid = splats.alpha[..., 0].numpy() > 0.5
    found = foreign_pictures("three.html", "three", out, _views(), (frame + 1e-3) / clip.fps)
    return {
        "megabytes": path.stat().st_size / 1e6,
        "vertices": len(mesh.vertices),
        "iou_with_gaussians": float((seen & solid).sum() / (seen | solid).sum()),
        "psnr_with_gaussians_db": psnr(ours, splats.rgb),
        "three_psnr_db": psnr(found[1], ours) if found else None,
        "three_vertices": found[0] if found else None,
        "validator": validate_gltf(path),
    }


def _colored(view: object, mesh: object) -> torch.Tensor:
    """The mesh's vertex colours on white."""
    corners = mesh.colors[mesh.faces[view.face_id.clip(0)]]
    color = (corners * torch.from_numpy(view.bary)[..., None]).sum(-2)
    return torch.where(torch.from_numpy(view.mask)[..., None], color, torch.ones(3))


def _page(subject: Subject, out: Path) -> dict:
    """Pixels of the page against ours in three poses, and its frames per second at 400 px."""
    path = out / "avatar.html"
    export_avatar(subject, path, "html")
    numbers = {"megabytes": path.stat().st_size / 1e6}
    if chromium_path() is None:
        return numbers
    load, browser = os.getloadavg()[0], Browser(400, 480)
    try:
        browser.open(path.as_uri())
        time.sleep(3)
        rates = {}
        for name, wipe in (("refined", 0), ("both", 0.5)):
            browser.js(f"viewer.wipe = {wipe}")
            before, start = browser.js("viewer.frames"), time.perf_counter()
            time.sleep(5)
            rates[name] = (browser.js("viewer.frames") - before) / (time.perf_counter() - start)
        values = [_page_psnr(browser, subject, name, frame) for name, frame in POSES]
        errors = len(browser.errors)
    finally:
        browser.close()
    return numbers | {"psnr_db": values, "fps": rates, "load_before": load, "errors": errors}


def _page_psnr(browser: Browser, subject: Subject, name: str, frame: int) -> float:
    pose = t_pose() if name == "t" else load_clip(name).poses[frame]
    view = {"azimuth": 40, "elevation": 8, "radius": RADIUS_M, "fov": FOV, "target": [0, 0, 0]}
    wish = {"pose": pose.flatten().tolist(), "view": view, "width": 400, "height": 400}
    text = browser.js(
        f"viewer.exact({json.dumps(wish)}).then(p => btoa(Array.from(p, "
        "v => String.fromCharCode(v)).join('')))"
    )
    pixels = np.frombuffer(base64.b64decode(text), np.uint8).reshape(400, 400, 4)
    shown = torch.from_numpy(pixels[::-1, :, :3] / np.float32(255))
    camera = orbit_cameras([40.0], [8.0], radius_m=RADIUS_M, fov_y_deg=FOV, size=(400, 400))
    return psnr(shown, render(subject.avatar.posed(pose), camera).rgb[0])


def tables(numbers: dict) -> dict[str, str]:
    """Formats; the mesh; the page."""
    rows = [
        [
            f"`{kind}`",
            number(row["megabytes"], 2),
            "equal" if row["psnr_db"] > 100 else number(row["psnr_db"], 1),
            row["foreign"] or "",
            number(row["foreign_psnr_db"], 1) if (row["foreign_psnr_db"] or 0) < 100 else "equal",
        ]
        for kind, row in numbers["rows"].items()
    ]
    heads = ["format", "MB", "read back, dB", "another reader", "there, dB"]
    caption = f"{numbers['gaussians']} Gaussians in the pose of a dance, goal {GOAL_DB} dB:\n\n"
    mesh, page = numbers["mesh"], numbers["page"]
    checks = mesh["validator"]
    about_mesh = [
        ["size, MB", number(mesh["megabytes"], 2)],
        ["vertices", str(mesh["vertices"])],
        ["silhouette IoU with the Gaussians", number(mesh["iou_with_gaussians"], 3)],
        ["PSNR against the Gaussians, dB", number(mesh["psnr_with_gaussians_db"], 1)],
        ["PSNR of three.js against us, mid-animation, dB", number(mesh["three_psnr_db"], 1)],
        ["errors, warnings of Khronos' validator", "{errors}, {warnings}".format(**checks) if checks else ""],  # noqa: E501
    ]  # fmt: skip
    return {
        "formats": caption + markdown_table(heads, rows),
        "mesh": markdown_table(["skinned mesh", ""], about_mesh),
        "page": _page_table(page),
    }


def _page_table(page: dict) -> str:
    rows = [["size, MB", number(page["megabytes"], 2), ""]]
    if "fps" in page:
        rows += [
            ["lowest PSNR against our renderer in three poses, dB", number(min(page["psnr_db"]), 1), str(PAGE_GOAL_DB)],  # noqa: E501
            ["frames per second, refined alone", number(page["fps"]["refined"], 1), str(PAGE_GOAL_FPS)],  # noqa: E501
            ["frames per second, coarse and refined", number(page["fps"]["both"], 1), ""],
            ["load of the machine before", number(page["load_before"], 1), ""],
            ["errors in the page's console", str(page["errors"]), "0"],
        ]  # fmt: skip
    busy = "**The machine was busy, so frames per second mean little.**\n\n"
    table = markdown_table(["page in headless Chromium, software GL, 400 px", "", "goal"], rows)
    return busy + table if page.get("load_before", 0) >= 1 else table


def main(
    folder: Annotated[
        Path | None, typer.Argument(help="of `python -m toolkit avatar`; else it runs now")
    ] = None,
    table_only: TableOnly = False,
    out: Out = None,
) -> None:
    """Write docs/results/export.json and the tables of docs/export.md."""
    publish(
        "export", lambda: measure(folder), tables, table_only=table_only, out=out, page=EXPORT_PAGE
    )


if __name__ == "__main__":
    raise SystemExit(run(main))
