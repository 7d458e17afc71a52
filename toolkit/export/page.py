"""One HTML file with the avatar inside, which turns and walks in any browser, without a network.

The page holds the Gaussians and the rig as text (base64), clips as poses, and four short programs
in `web/`: the skeleton, the drawing, the sorting, and the controls. It poses as `body.rig` does and
draws as `render` does; a test compares its pixels with ours.
"""

import base64
import html
import json
import os
from pathlib import Path

import numpy as np
import torch

from toolkit.body.motion import Motion, load_clip
from toolkit.body.motion_import import import_motion
from toolkit.body.rig import Avatar, Rig
from toolkit.export.subject import Subject
from toolkit.run.files import atomic_path
from toolkit.show.film import AnimationConfig, frame_indices, lengthen

WEB = Path(__file__).parent / "web"
CLIPS = ("stroll", "idle", "walk", "run", "dance_a", "kick")
INFLUENCES = 8  # joints per Gaussian; an anchor between three vertices of our body has at most 7
CLIP_FPS, LONGEST_S = 30.0, 60.0


def write_page(subject: Subject, path: str | os.PathLike, motion: str | None = None) -> None:
    """Write the page.

    Args:
        subject: its coarse avatar, if it has one, is shown beside the refined one.
        path: of the .html file.
        motion: a file or the name of a clip, shown first in the menu.
    """
    clips = {name: load_clip(name) for name in CLIPS}
    if motion is not None:
        found = import_motion(motion, subject.skeleton).motion
        clips = {Path(motion).stem: found} | clips
    avatars = [("refined", subject.avatar)]
    if subject.coarse is not None:
        avatars.append(("coarse", subject.coarse))
    data = {
        "floor": subject.skeleton.floor_m,
        "rig": pack_rig(subject.avatar.rig),
        "avatars": [{"name": name} | pack_gaussians(avatar) for name, avatar in avatars],
        "clips": [{"name": name} | pack_clip(clip) for name, clip in clips.items()],
    }
    with atomic_path(path) as tmp:
        tmp.write_text(fill_template(subject.name, data), encoding="utf-8")


def fill_template(title: str, data: dict) -> str:
    """The page's text; neither title nor data can end the element that they stand in.

    Args:
        title: any text, e.g. the name of a file.
        data: for the page's programs.
    """
    text = (WEB / "page.html").read_text(encoding="utf-8")
    parts = {name: (WEB / name).read_text(encoding="utf-8") for name in
             ("style.css", "rig.js", "gpu.js", "viewer.js", "sorter.js")}  # fmt: skip
    parts["title"] = html.escape(title)
    # "<" inside of JSON's strings may be written as an escape, so no "</script>" is possible
    parts["data"] = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    pieces = text.split("{{")
    return pieces[0] + "".join(
        parts[piece.split("}}", 1)[0]] + piece.split("}}", 1)[1] for piece in pieces[1:]
    )


def pack_gaussians(avatar: Avatar) -> dict:
    """Gaussians in 30 bytes each: centres stay floats, the rest is rounded below what is seen."""
    g = avatar.gaussians.detach().to("cpu")
    logs = g.scales.clamp_min(1e-9).log()
    low, high = float(logs.min()), float(logs.max())
    share = (logs - low) / max(high - low, 1e-9)
    rgba = torch.cat([g.colors, g.opacities[:, None]], dim=1).clamp(0, 1)
    return {
        "means": _text(g.means, np.float32),
        "quats": _text((g.quats * 32767).round(), np.int16),
        "scales": _text((share * 65535).round(), np.uint16),
        "log_scales": [low, high],
        "rgba": _text((rgba * 255).round(), np.uint8),
    }


def pack_rig(rig: Rig) -> dict:
    """Anchors, and the eight joints that move each most."""
    weights, ids = rig.lbs_weights.detach().topk(INFLUENCES, dim=1)
    weights = weights / weights.sum(1, keepdim=True)
    return {
        "joints": rig.joints.tolist(),
        "parents": rig.parents.tolist(),
        "anchors": _text(rig.anchors_rest.detach(), np.float32),
        "ids": _text(ids, np.uint8),
        "weights": _text((weights * 65535).round(), np.uint16),
    }


def pack_clip(motion: Motion) -> dict:
    """A clip that can be repeated for ever, at 30 frames per second at most.

    A cycle such as a walk goes on where it ended: `way` is added with each repeat. Another clip is
    played forwards and backwards.
    """
    if motion.fps > CLIP_FPS or len(motion) > LONGEST_S * motion.fps:
        config = AnimationConfig(fps=min(CLIP_FPS, motion.fps), seconds=LONGEST_S)
        steps = frame_indices(len(motion), motion.fps, config)
        motion = Motion(motion.poses[steps], motion.transl[steps], config.fps)
    num, way = len(motion), torch.zeros(3)
    longer = lengthen(motion, (num + 1) / motion.fps)
    if num > 1 and torch.equal(longer.poses[num - 1, 1:], longer.poses[0, 1:]):  # a closed cycle
        way = longer.transl[num - 1] - longer.transl[0]
        longer = Motion(longer.poses[: num - 1], longer.transl[: num - 1], motion.fps)
    moving = longer.poses.abs().amax((0, 2)).nonzero()
    joints = int(moving.max()) + 1 if len(moving) else 1  # later ones, such as fingers, are at rest
    return {
        "fps": motion.fps,
        "length": len(longer),
        "way": way.tolist(),
        "poses": _text(longer.poses[:, :joints], np.float32),
        "transl": _text(longer.transl, np.float32),
    }


def _text(values: torch.Tensor, kind: type) -> str:
    array = values.numpy().astype(np.dtype(kind).newbyteorder("<"))
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
