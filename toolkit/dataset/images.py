"""A picture of a prompt, the record of where it comes from, and how both are saved.

Two classes make pictures: `images_diffusers.DiffusionImages` calls a text-to-image model, and
`images_procedural.ProceduralImages` renders one of our procedural people, whose geometry is known.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Shaped, UInt8

from toolkit.dataset.prompts import PromptRecord
from toolkit.people.draw.photo import photo_camera
from toolkit.people.draw.render import PersonViews
from toolkit.people.person import Person
from toolkit.run.files import atomic_path
from toolkit.run.folder import write_json
from toolkit.show.export import write_image


@dataclass(frozen=True)
class ImageRecord:
    """Where a picture comes from: enough to draw it again.

    Attributes:
        prompt: the prompt's own record, which holds the attributes too.
        model: hub id, or "procedural people".
        revision: of the model's weights.
        licence: of the weights; it may restrict what the picture is used for.
        image_seed: of the diffusion noise, or of what the attributes leave open.
        size: (height, width) in pixels.
        options: number of steps, guidance and the like.
        ignored: attributes that this way of drawing cannot show.
    """

    prompt: PromptRecord
    model: str
    revision: str
    licence: str
    image_seed: int
    size: tuple[int, int]
    options: dict
    ignored: tuple[str, ...] = ()

    def to_json(self) -> dict:
        """The record as dicts, lists and numbers."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict) -> "ImageRecord":
        """Read back `to_json`; JSON has turned the tuples into lists."""
        return cls(
            **data
            | {
                "prompt": PromptRecord.from_json(data["prompt"]),
                "size": tuple(data["size"]),
                "ignored": tuple(data["ignored"]),
            }
        )


@dataclass(frozen=True)
class Truth:
    """What is known exactly of a procedural picture.

    Attributes:
        person: body, pose, clothes and camera.
        views: the person alone, with exact alpha, depth and normals.
    """

    person: Person
    views: PersonViews


@dataclass(frozen=True)
class Drawing:
    """A picture (sRGB), its record, and the truth behind it if the picture is procedural."""

    image: UInt8[np.ndarray, "H W 3"]
    record: ImageRecord
    truth: Truth | None = None

    def save(self, folder: str | Path, name: str) -> Path:
        """Write `name`.png, `name`.json and, with a truth, `name`.npz.

        The .json comes last: whoever finds it can rely on the other files.

        Args:
            folder: where to; made if it does not exist.
            name: of the files, without an ending.

        Returns:
            The path of the .png.
        """
        folder = Path(folder)
        write_image(folder / f"{name}.png", self.image)
        if self.truth is not None:
            with atomic_path(folder / f"{name}.npz") as tmp, open(tmp, "wb") as file:
                np.savez_compressed(file, **truth_arrays(self.truth))
        write_json(folder / f"{name}.json", self.record.to_json())
        return folder / f"{name}.png"


class ImageMaker(Protocol):
    """Draws a prompt; the same prompt and seed give the same picture."""

    def draw(self, prompt: PromptRecord, *, seed: int) -> Drawing: ...


def truth_arrays(truth: Truth) -> dict[str, Shaped[np.ndarray, "..."]]:
    """The truth behind a picture as arrays, for the .npz file.

    Args:
        truth: of a procedural picture.

    Returns:
        Body parameters, camera and maps with the units of docs/conventions.md, float32; `rgb` and
        `alpha` are uint8, 0..255.
    """
    person, views = truth.person, truth.views
    height, width = views.alpha.shape[1:3]
    camera = photo_camera(person.photo_camera, (height, width))
    tensors = {
        "betas": person.betas,
        "pose": person.pose,
        "transl": person.transl,
        "expression": person.expression,
        "viewmat": camera.viewmats[0],  # the photo has one camera: index 0 drops the C axis
        "K": camera.Ks[0],
        "rgb": views.rgb[0],
        "alpha": views.alpha[0],
        "depth": views.depth[0],
        "normals": views.normals[0],
    }
    arrays = {name: t.numpy().astype(np.float32) for name, t in tensors.items() if t is not None}
    for name in ("rgb", "alpha"):
        arrays[name] = np.round(arrays[name] * 255).astype(np.uint8)
    return arrays | {"person_seed": np.int64(person.seed)}
