"""The photo of a person: in front of a background, with a shadow, noise and a tone curve."""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from scipy.ndimage import gaussian_filter

from toolkit.cameras import Cameras
from toolkit.people.draw.render import PersonViews, render_person
from toolkit.people.paint.backdrop import sample_backdrop
from toolkit.people.person import Person


def photo_of(
    person: Person, size: tuple[int, int] = (512, 512), *, supersample: int = 3
) -> tuple[UInt8[np.ndarray, "H W 3"], PersonViews]:
    """Photograph a person in a plausible place; the same person gives the same photo.

    Args:
        person: from `sample_person`; its `photo_camera` is used.
        size: (height, width) in pixels; another aspect keeps pixels square.
        supersample: samples per pixel along each axis.

    Returns:
        The photo (sRGB), and the person alone with exact alpha, depth and normals.
    """
    camera = photo_camera(person.photo_camera, size)
    views = render_person(person, camera, supersample=supersample)
    alpha, rgb = views.alpha[0].numpy(), views.rgb[0].numpy()
    rng = person.random(1)
    backdrop = sample_backdrop(rng, size, horizon=_horizon(person, camera))
    backdrop = backdrop * (1 - _contact_shadow(alpha[..., 0]))[..., None]
    # `rgb` is on white: take the white away, put the backdrop in its place.
    image = rgb - (1 - alpha) + (1 - alpha) * backdrop
    # A camera's own tone curve (a random gamma) and sensor noise.
    image = image ** rng.uniform(0.9, 1.1) + rng.normal(0, rng.uniform(0.002, 0.012), image.shape)
    return (image.clip(0, 1) * 255).round().astype(np.uint8), views


def photo_camera(camera: Cameras, size: tuple[int, int]) -> Cameras:
    """The square photo camera for a picture of another size and aspect, same vertical view."""
    height, width = size
    scale = height / camera.height
    Ks = camera.Ks.clone()  # (C,3,3)
    Ks[:, :2] *= scale
    Ks[:, 0, 2] += (width - camera.width * scale) / 2
    return Cameras(camera.viewmats, Ks, width, height)


def _horizon(person: Person, camera: Cameras) -> float:
    """Row of the floor's far edge, 2.5 m behind the person, as a share of the height."""
    floor_y = -1.05 + 0.1 * float(person.random(2).random())  # the pelvis is at y = 0
    points = torch.tensor([[0.0, floor_y, 0.0], [0.0, floor_y, -2.5]])
    rows = camera.project(points)[0][0, :, 1]
    return float(np.clip(rows[1] / camera.height, 0.15, 1.2))


def _contact_shadow(alpha: Float[np.ndarray, "H W"]) -> Float[np.ndarray, "H W"]:
    """Strength of a soft dark patch under the feet; zero if the picture cuts the person off."""
    height, width = alpha.shape
    rows = np.flatnonzero(alpha.max(1) > 0.5)
    if not len(rows) or rows[-1] >= height - 2:
        return np.zeros_like(alpha)
    bottom = rows[-1]
    band = alpha[max(bottom - height // 12, 0) : bottom + 1].max(0)
    patch = np.zeros_like(alpha)
    patch[max(bottom - height // 50, 0) : min(bottom + height // 90, height)] = band
    return 0.55 * gaussian_filter(patch, (height / 90, height / 50))
