"""The result of the photo stage: shape, pose, camera, points and mask, saved as JSON and PNG."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor

from toolkit.cameras import Cameras
from toolkit.errors import MissingFileError, fail, reading
from toolkit.run.files import atomic_path

FORMAT = "toolkit-photo-body-1"


@dataclass(frozen=True)
class PhotoBody:
    """The body that explains a photo, in the photo's world: pelvis at the origin, y up.

    Attributes:
        betas: shape, roughly N(0, 1).
        pose: axis-angle rotations in radians; row 0 is the global orientation.
        transl: minus the rest position of the pelvis, in metres, so that the posed pelvis lies at
            the origin.
        camera: one camera of the photo's size, rotation diag(1, -1, -1).
        keypoints: x, y in pixels and score in [0, 1] of the 33 detected points.
        mask: probability of each pixel to show the person.
        seen: True for joints that the photo shows; the others come from the pose prior.
    """

    betas: Float[Tensor, " S"]
    pose: Float[Tensor, "55 3"]
    transl: Float[Tensor, " 3"]
    camera: Cameras
    keypoints: Float[Tensor, "33 3"]
    mask: Float[np.ndarray, "H W"]
    seen: Bool[Tensor, " 55"]

    def __post_init__(self) -> None:
        shapes = tuple(map(tuple, (self.pose.shape, self.transl.shape, self.seen.shape)))
        size = (self.camera.height, self.camera.width)
        if shapes != ((55, 3), (3,), (55,)) or len(self.camera) != 1 or self.mask.shape != size:
            fail(
                "PhotoBody",
                got=f"pose, transl, seen {shapes}, mask {self.mask.shape}",
                wanted=f"(55, 3), (3,), (55,) and a mask of {size}",
                fix="Fit the photo again.",
            )

    def save(self, path: str | os.PathLike) -> None:
        """Write the JSON file `path` and, beside it, the mask as `<stem>_mask.png` (16 bits)."""
        path = Path(path)
        mask_name = f"{path.stem}_mask.png"
        with atomic_path(path.with_name(mask_name)) as file:
            Image.fromarray(np.round(self.mask * 65535).astype(np.uint16)).save(file)
        record = {
            "format": FORMAT,
            "betas": self.betas.tolist(),
            "pose": self.pose.tolist(),
            "transl": self.transl.tolist(),
            "keypoints": self.keypoints.tolist(),
            "seen": self.seen.tolist(),
            "mask": mask_name,
            "camera": {
                "viewmat": self.camera.viewmats[0].tolist(),
                "K": self.camera.Ks[0].tolist(),
                "width": self.camera.width,
                "height": self.camera.height,
            },
        }
        with atomic_path(path) as file:
            file.write_text(json.dumps(record, indent=1) + "\n")

    @staticmethod
    def load(path: str | os.PathLike) -> "PhotoBody":
        """Read what `save` wrote.

        Raises:
            MissingFileError: the JSON file or its mask does not exist.
            InputError: the file has another format, or values are missing.
        """
        path = Path(path)
        if not path.is_file():
            raise MissingFileError(f"{path} is missing. Fit the photo first.")
        with reading(f"Body file {path}", wanted=FORMAT, fix="Fit the photo again."):
            record = json.loads(path.read_text(encoding="utf-8"))
            if record["format"] != FORMAT:
                raise ValueError(f"format {record['format']!r}")
            if not (path.parent / record["mask"]).is_file():
                raise MissingFileError(f"The mask of {path} is missing: {record['mask']}")
            return _from_record(record, path.parent)


def _from_record(record: dict, folder: Path) -> PhotoBody:
    """The body of a parsed JSON file, whose mask lies in `folder`."""
    camera = record["camera"]
    with Image.open(folder / record["mask"]) as image:
        mask = np.asarray(image, dtype=np.float32) / 65535
    arrays = {
        name: torch.tensor(record[name], dtype=torch.float32)
        for name in ("betas", "pose", "transl", "keypoints")
    }
    cameras = Cameras(
        torch.tensor([camera["viewmat"]]),
        torch.tensor([camera["K"]]),
        camera["width"],
        camera["height"],
    )
    return PhotoBody(**arrays, camera=cameras, mask=mask, seen=torch.tensor(record["seen"]))
