"""Gaussians as glTF: the extension KHR_gaussian_splatting, on a cloud of points.

glTF's world is ours: metres, right-handed, y up, and a model at rest faces +z. Differences are

- quaternions are (x, y, z, w), ours are (w, x, y, z);
- `COLOR_0`, which readers without the extension show as a cloud of points, is *linear* light,
  while the spherical harmonics beside it give colours of the display (sRGB).

The extension knows no skeleton, so a pose is baked in; `glb_mesh` writes what an engine can move.

Source: Khronos, KHR_gaussian_splatting, release candidate.
"""

import os

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.errors import fail
from toolkit.export.glb_file import VERTICES, GlbWriter, accessor_array, read_glb
from toolkit.gaussians import Gaussians

NAME = "KHR_gaussian_splatting"
# how the Gaussians were made: ellipses, in colours of the display, seen in perspective
KERNEL = {"kernel": "ellipse", "colorSpace": "srgb_rec709_display", "projection": "perspective"}


def write_glb_splats(gaussians: Gaussians, path: str | os.PathLike, name: str = "avatar") -> None:
    """Write a GLB file with the Gaussians as one primitive of points.

    Args:
        gaussians: y up, metres; all bands of their spherical harmonics are kept.
        path: of the file.
        name: of the node, for people who look into the scene.
    """
    g, glb = gaussians.detach().to("cpu"), GlbWriter()
    add = lambda tensor: glb.add(tensor.numpy().astype(np.float32), target=VERTICES)  # noqa: E731
    colors = torch.cat([srgb_to_linear(g.colors.clamp(0, 1)), g.opacities[:, None]], dim=1)
    attributes = {
        "POSITION": glb.add(g.means.numpy(), target=VERTICES, bounds=True),
        "COLOR_0": add(colors),
        f"{NAME}:ROTATION": add(g.quats[:, [1, 2, 3, 0]]),
        f"{NAME}:SCALE": add(g.scales),
        f"{NAME}:OPACITY": add(g.opacities),
    }
    for degree, k, column in _coefficients(g.sh.shape[1]):
        attributes[f"{NAME}:SH_DEGREE_{degree}_COEF_{k}"] = add(g.sh[:, column])
    primitive = {"mode": 0, "attributes": attributes, "extensions": {NAME: KERNEL}}
    glb.document |= {
        "extensionsUsed": [NAME],
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": name, "mesh": 0}],
        "meshes": [{"name": name, "primitives": [primitive]}],
    }
    glb.save(path)


def read_glb_splats(path: str | os.PathLike) -> Gaussians:
    """Read the first primitive of Gaussians of a GLB file that is not compressed.

    Raises:
        MissingFileError: there is no such file.
        InputError: no GLB file, or no Gaussians inside.
    """
    document, binary = read_glb(path)
    found = [
        primitive["attributes"]
        for mesh in document.get("meshes", [])
        for primitive in mesh["primitives"]
        if NAME in primitive.get("extensions", {})
    ]
    if not found:
        fail(str(path), got="no primitive with " + NAME, wanted="Gaussians", fix="Is it a mesh?")
    read = lambda key: torch.tensor(accessor_array(document, binary, found[0][key]))  # noqa: E731
    degrees = max(d for d in range(4) if f"{NAME}:SH_DEGREE_{d}_COEF_0" in found[0])
    sh = [read(f"{NAME}:SH_DEGREE_{d}_COEF_{k}") for d, k, _ in _coefficients((degrees + 1) ** 2)]
    return Gaussians(
        means=read("POSITION"),
        quats=read(f"{NAME}:ROTATION")[:, [3, 0, 1, 2]],
        scales=read(f"{NAME}:SCALE"),
        opacities=read(f"{NAME}:OPACITY"),
        sh=torch.stack(sh, dim=1),
    )


def _coefficients(num: int) -> list[tuple[int, int, int]]:
    """Degree, number within the degree, and column of each of `num` coefficients."""
    return [(d, k, d * d + k) for d in range(4) for k in range(2 * d + 1) if d * d + k < num]


def srgb_to_linear(colors: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Colours of the display to linear light, both in [0, 1]. Source: IEC 61966-2-1."""
    return torch.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
