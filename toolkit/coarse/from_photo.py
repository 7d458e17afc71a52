"""Around the small coarse model: its weights file, and one photo in, Gaussians out."""

import os
from functools import lru_cache

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor

from toolkit.body.anchors import Anchors
from toolkit.body.model import BodyModel
from toolkit.coarse.observation import lay_out, observe
from toolkit.coarse.small import AnchorTransformer
from toolkit.gaussians import Gaussians
from toolkit.photo.crop import crop_photo
from toolkit.photo.photo_body import PhotoBody
from toolkit.run.files import atomic_path, model_path


@torch.no_grad()
def predict(
    model: AnchorTransformer,
    image: Float[Tensor, "H W 3"],
    mask: Float[Tensor, "H W"],
    photo_body: PhotoBody,
    body: BodyModel,
    anchors: Anchors,
) -> Gaussians:
    """One Gaussian per anchor from one photo, in the T-pose of the shaped body; deterministic.

    Args:
        image: in [0, 1]; any background.
        mask: person coverage in [0, 1].
        photo_body: the person in this photo; betas, pose, transl and camera are read.
        anchors: any number of them, e.g. 10,000 to 80,000.

    Raises:
        InputError: wrong shapes, NaN, an empty mask, or a pose of another body model.
    """
    crop = crop_photo(image, mask, photo_body.camera)
    layout = lay_out(anchors, model.num_tokens)
    return model(crop, layout, observe(crop, photo_body, body, anchors))


@lru_cache(maxsize=2)
def load_coarse(path: str | os.PathLike | None = None) -> AnchorTransformer:
    """The trained model, ready to predict; default `data/models/coarse.safetensors`.

    Raises:
        MissingFileError: no such file.
    """
    path = path or model_path("coarse.safetensors", made_by="python -m tools.train.coarse")
    model = AnchorTransformer()
    model.load_state_dict(load_file(str(path)))
    return model.eval().requires_grad_(False)


def save_coarse(model: AnchorTransformer, path: str | os.PathLike) -> None:
    """Write the weights as safetensors."""
    with atomic_path(path) as tmp:
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, str(tmp))
