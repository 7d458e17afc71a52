"""Checks of `rasterization`'s arguments: modes, shapes, devices, and finite values."""

import math

import torch
from torch import Tensor

from toolkit.errors import MissingCapabilityError, fail

RENDER_MODES = ("RGB", "D", "ED", "RGB+D", "RGB+ED")
RASTERIZE_MODES = ("classic", "antialiased")
_CUDA_ONLY = {  # arguments that ask for an algorithm of gsplat's CUDA kernels; their neutral value
    "distributed": False,
    "camera_model": "pinhole",
    "with_ut": False,
    "with_eval3d": False,
    "radial_coeffs": None,
    "tangential_coeffs": None,
    "thin_prism_coeffs": None,
    "ftheta_coeffs": None,
    "viewmats_rs": None,
}


def refuse_cuda_only(arguments: dict) -> None:
    """Stop at a switch that would change the result, but is not built for the CPU.

    Raises:
        MissingCapabilityError: a switch that only gsplat's CUDA kernels have.
    """
    for name, neutral in _CUDA_ONLY.items():
        value = arguments[name]
        if value is not neutral and value != neutral:
            fail(
                f"rasterization({name})",
                got=repr(value),
                wanted=repr(neutral),
                fix="Only gsplat's CUDA kernels can do this; move the tensors to a GPU.",
                kind=MissingCapabilityError,
            )
    shutter = arguments["rolling_shutter"]
    if shutter is not None and getattr(shutter, "name", "GLOBAL") != "GLOBAL":
        fail(
            "rasterization(rolling_shutter)",
            got=shutter,
            wanted="GLOBAL",
            fix="Only gsplat's CUDA kernels can do this; move the tensors to a GPU.",
            kind=MissingCapabilityError,
        )


def check_arguments(arguments: dict) -> None:
    """Names, shapes, devices and finite values.

    Raises:
        InputError: what is wrong, with the name of the argument.
    """
    for name, modes in (("render_mode", RENDER_MODES), ("rasterize_mode", RASTERIZE_MODES)):
        _require(arguments[name] in modes, name, arguments[name], f"one of {modes}")
    size = arguments["width"], arguments["height"]
    _require(size[0] > 0 and size[1] > 0, "picture size", size, "at least 1x1")
    shapes = _wanted_shapes(arguments)
    for name in (*shapes, "colors"):
        device = arguments[name].device
        _require(
            device.type == "cpu",
            name,
            f"a tensor on {device}",
            "all tensors on the CPU, or means and all others on one CUDA device",
        )
    for name, shape in shapes.items():
        got = tuple(arguments[name].shape)
        _require(got == shape, name, got, str(shape))
    # A single NaN would spread over every pixel that its Gaussian touches, and through the
    # gradients to all parameters. Here it still has a name.
    for name in (*shapes, "colors"):
        _require(_is_finite(arguments[name]), name, "NaN or Inf", "finite values")


def _wanted_shapes(arguments: dict) -> dict[str, tuple]:
    """Shapes that follow from means, viewmats and colors; those three are checked here."""
    means, viewmats, colors = (arguments[name] for name in ("means", "viewmats", "colors"))
    _require(means.ndim >= 2, "means", tuple(means.shape), "(*batch, N, 3)")
    _require(viewmats.ndim >= 3, "viewmats", tuple(viewmats.shape), "(*batch, C, 4, 4)")
    batch, n, num_cameras = tuple(means.shape[:-2]), means.shape[-2], viewmats.shape[-3]
    _check_colors(colors, arguments["sh_degree"], batch, n, num_cameras)
    shapes = {
        "means": (*batch, n, 3),
        "opacities": (*batch, n),
        "viewmats": (*batch, num_cameras, 4, 4),
        "Ks": (*batch, num_cameras, 3, 3),
    }
    if arguments["covars"] is None:
        shapes |= {"quats": (*batch, n, 4), "scales": (*batch, n, 3)}
    else:
        shapes |= {"covars": (*batch, n, 3, 3)}
    if arguments["backgrounds"] is not None and "RGB" in arguments["render_mode"]:
        shapes["backgrounds"] = (*batch, num_cameras, colors.shape[-1])
    return shapes


def _check_colors(
    colors: Tensor, degree: int | None, batch: tuple, n: int, num_cameras: int
) -> None:
    """Plain colours, or harmonics up to `degree`; one set for all cameras, or one per camera."""
    tail = 1 if degree is None else 2  # axes of one Gaussian's colour: (D,) or (K, 3)
    _require(
        tuple(colors.shape[:-tail]) in ((*batch, n), (*batch, num_cameras, n)),
        "colors",
        tuple(colors.shape),
        "(*batch, [C,] N, D), or (*batch, [C,] N, K, 3) with sh_degree",
    )
    if degree is not None:
        enough = 0 <= degree <= 3 and (degree + 1) ** 2 <= colors.shape[-2]
        _require(
            enough and colors.shape[-1] == 3,
            "sh_degree",
            f"{degree} for {colors.shape[-2]} coefficients of {colors.shape[-1]} channels",
            "0..3 with K >= (degree + 1)^2",
        )


def _require(condition: bool, name: str, got: object, wanted: str) -> None:
    if not condition:
        fail(
            f"rasterization({name})",
            got=got,
            wanted=wanted,
            fix="Arguments follow gsplat.rasterization; B batch, N Gaussians, C cameras.",
        )


def _is_finite(tensor: Tensor) -> bool:
    """One fast sum; only if it is not finite (it may overflow), every value is looked at."""
    tensor = tensor.detach()
    return math.isfinite(tensor.sum().item()) or bool(torch.isfinite(tensor).all())
