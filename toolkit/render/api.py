"""`rasterization`, gsplat 1.5.3's signature on CPU (and gsplat itself on CUDA), and `render`.

Differences from gsplat, on CPU: `meta` is what gsplat returns with `packed=False`; its tile lists
belong to the tile size in `meta["tile_size"]`, not to the one asked for, and are tighter.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.cameras import Cameras
from toolkit.errors import MissingCapabilityError, fail
from toolkit.gaussians import Gaussians
from toolkit.render.cpu.meta import Meta
from toolkit.render.harmonics import spherical_harmonics

RENDER_MODES = ("RGB", "D", "ED", "RGB+D", "RGB+ED")
_CUDA_ONLY_OFF = {  # switches of gsplat that ask for another algorithm, and their neutral value
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


@dataclass(frozen=True)
class Render:
    """Pictures of C cameras.

    Attributes:
        rgb: colour over the background; in [0, 1] if the Gaussians' colours are.
        alpha: coverage in [0, 1).
        depth: expected z of what is covered, metres; 0 where nothing is.
    """

    rgb: Float[Tensor, "C H W 3"]
    alpha: Float[Tensor, "C H W 1"]
    depth: Float[Tensor, "C H W 1"]


def render(
    gaussians: Gaussians,
    cameras: Cameras,
    *,
    background=(1.0, 1.0, 1.0),
    antialiased: bool = True,
    sh_degree: int | None = None,
) -> Render:
    """Colour, alpha and expected depth of `gaussians` seen by `cameras`; differentiable.

    Args:
        background: RGB in [0, 1], one for all cameras or (C,3).
        antialiased: Mip-Splatting's opacity compensation: thin Gaussians do not fatten in small
            views. Everything here is trained and fitted with it; False is gsplat's "classic".
        sh_degree: highest band used, default all.

    Raises:
        InputError: NaN or infinite values.
    """
    back = torch.as_tensor(background, dtype=torch.float32, device=gaussians.means.device)
    colors, alpha, _ = rasterization(
        gaussians.means,
        gaussians.quats,
        gaussians.scales,
        gaussians.opacities,
        gaussians.sh,
        cameras.viewmats,
        cameras.Ks,
        cameras.width,
        cameras.height,
        sh_degree=gaussians.sh_degree if sh_degree is None else sh_degree,
        backgrounds=back.expand(len(cameras), 3),
        render_mode="RGB+D",
        rasterize_mode="antialiased" if antialiased else "classic",
    )
    return Render(colors[..., :3], alpha, colors[..., 3:] / alpha.clamp_min(1e-10))


def rasterization(  # noqa: PLR0913 - gsplat's signature, kept so that code for gsplat runs unchanged
    means: Float[Tensor, "*B N 3"],
    quats: Float[Tensor, "*B N 4"] | None,
    scales: Float[Tensor, "*B N 3"] | None,
    opacities: Float[Tensor, "*B N"],
    colors: Float[Tensor, "..."],
    viewmats: Float[Tensor, "*B C 4 4"],
    Ks: Float[Tensor, "*B C 3 3"],
    width: int,
    height: int,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    radius_clip: float = 0.0,
    eps2d: float = 0.3,
    sh_degree: int | None = None,
    packed: bool = True,
    tile_size: int = 16,
    backgrounds: Float[Tensor, "*B C D"] | None = None,
    render_mode: str = "RGB",
    sparse_grad: bool = False,
    absgrad: bool = False,
    rasterize_mode: str = "classic",
    channel_chunk: int = 32,
    distributed: bool = False,
    camera_model: str = "pinhole",
    segmented: bool = False,
    covars: Float[Tensor, "*B N 3 3"] | None = None,
    with_ut: bool = False,
    with_eval3d: bool = False,
    radial_coeffs=None,
    tangential_coeffs=None,
    thin_prism_coeffs=None,
    ftheta_coeffs=None,
    rolling_shutter=None,
    viewmats_rs=None,
) -> tuple[Tensor, Tensor, dict]:
    """Rasterize N Gaussians into C pinhole cameras: gsplat 1.5.3's arguments, results and rules.

    `colors` are (*B,(C,)N,D), or SH coefficients (*B,(C,)N,K,3) with `sh_degree`. `packed`,
    `tile_size`, `sparse_grad`, `absgrad`, `channel_chunk`, `segmented` only steer CUDA: ignored.

    Returns:
        colors (*B,C,H,W,X), alphas (*B,C,H,W,1), meta. X is D, 1 for D and ED, D+1 for RGB+(E)D.

    Raises:
        InputError: shapes that do not fit, NaN or Inf, an unknown mode.
        MissingCapabilityError: a switch that only gsplat's CUDA kernels have.
    """
    given = dict(locals())
    if means.is_cuda:
        return _gsplat(given)
    _refuse_cuda_only(given)
    _check(given)
    batch = means.shape[:-2]
    cams, n = viewmats.shape[-3], means.shape[-2]
    images, b = math.prod(batch) * cams, math.prod(batch)
    from toolkit.render.cpu import (
        autograd as cpu,  # numba takes half a second; a GPU user never needs it
    )

    flat_means, views = means.reshape(b, n, 3), viewmats.reshape(images, 4, 4)
    lens = cpu.Lens(
        _lens_rows(Ks, width, height),
        (
            float(near_plane),
            float(far_plane),
            float(eps2d),
            float(radius_clip),
            float(rasterize_mode == "antialiased"),
        ),
    )
    opac = opacities.reshape(b, n)
    radii, means2d, depths, conics, comps = cpu.Projection.apply(
        flat_means, *_shapes(quats, scales, covars, (b, n)), opac.detach(), views, lens
    )
    if rasterize_mode == "antialiased":
        opac = opac.repeat_interleave(cams, 0) * comps
    features = _features(given, flat_means, views, depths)
    back = _backgrounds(given, features.shape[-1], images)
    lead = (*batch, cams)
    meta = {
        "radii": radii.reshape(*lead, n, 2),
        "means2d": means2d.reshape(*lead, n, 2),
        "depths": depths.reshape(*lead, n),
        "conics": conics.reshape(*lead, n, 3),
        "opacities": opac.repeat_interleave(images // len(opac), 0).reshape(*lead, n),
        "width": width,
        "height": height,
        "n_batches": b,
        "n_cameras": cams,
        "tile_size": cpu.tiles.TILE_W,
        "tile_width": math.ceil(width / cpu.tiles.TILE_W),
        "tile_height": math.ceil(height / cpu.tiles.TILE_H),
    }
    # onwards from the tensors in `meta`, so that their retain_grad() sees the gradient
    means2d, conics = meta["means2d"].view(images, n, 2), meta["conics"].view(images, n, 3)
    picture, alpha, plans = cpu.composite(
        (radii, means2d, depths, conics), opac, features, back, (int(width), int(height))
    )
    if render_mode in ("ED", "RGB+ED"):
        expected = picture[..., -1:] / alpha.clamp_min(1e-10)
        picture = torch.cat([picture[..., :-1], expected], -1) if "+" in render_mode else expected
    dtype = means.dtype
    return (
        picture.reshape(*lead, height, width, -1).to(dtype),
        alpha.reshape(*lead, height, width, 1).to(dtype),
        Meta(meta, plans),
    )


def _gsplat(given: dict):
    import gsplat

    given = dict(given)
    if given["rolling_shutter"] is None:
        given.pop("rolling_shutter")
    return gsplat.rasterization(**given)


def _refuse_cuda_only(given: dict) -> None:
    for name, neutral in _CUDA_ONLY_OFF.items():
        if given[name] is not neutral and given[name] != neutral:
            fail(
                f"rasterization({name})",
                got=repr(given[name]),
                wanted=repr(neutral),
                fix="Only gsplat's CUDA kernels can do this; move the tensors to a GPU.",
                kind=MissingCapabilityError,
            )
    shutter = given["rolling_shutter"]
    if shutter is not None and getattr(shutter, "name", "GLOBAL") != "GLOBAL":
        fail(
            "rasterization(rolling_shutter)",
            got=shutter,
            wanted="GLOBAL",
            fix="Only gsplat's CUDA kernels can do this.",
            kind=MissingCapabilityError,
        )


def _check(given: dict) -> None:
    """Names, shapes and finite values."""
    _require(
        given["render_mode"] in RENDER_MODES,
        "render_mode",
        given["render_mode"],
        f"one of {RENDER_MODES}",
    )
    _require(
        given["rasterize_mode"] in ("classic", "antialiased"),
        "rasterize_mode",
        given["rasterize_mode"],
        "classic or antialiased",
    )
    _require(
        given["width"] > 0 and given["height"] > 0,
        "picture size",
        (given["width"], given["height"]),
        "at least 1x1",
    )
    wanted = _wanted_shapes(given)
    for name in (*wanted, "colors"):
        _require(
            given[name].device.type == "cpu",
            name,
            f"a tensor on {given[name].device}",
            "all tensors on the CPU, or means and all others on one CUDA device",
        )
    for name, shape in wanted.items():
        _require(tuple(given[name].shape) == shape, name, tuple(given[name].shape), str(shape))
    for name in (*wanted, "colors"):
        _require(_finite(given[name]), name, "NaN or Inf", "finite values")


def _wanted_shapes(given: dict) -> dict[str, tuple]:
    """Shapes that follow from means, viewmats and colors, which are checked here."""
    means, viewmats, colors = given["means"], given["viewmats"], given["colors"]
    _require(means.ndim >= 2, "means", tuple(means.shape), "(*batch, N, 3)")
    _require(viewmats.ndim >= 3, "viewmats", tuple(viewmats.shape), "(*batch, C, 4, 4)")
    batch, n, cams = tuple(means.shape[:-2]), means.shape[-2], viewmats.shape[-3]
    degree = given["sh_degree"]
    tail = 1 if degree is None else 2
    _require(
        tuple(colors.shape[:-tail]) in ((*batch, n), (*batch, cams, n)),
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
    wanted = {
        "means": (*batch, n, 3),
        "opacities": (*batch, n),
        "viewmats": (*batch, cams, 4, 4),
        "Ks": (*batch, cams, 3, 3),
    }
    wanted |= (
        {"quats": (*batch, n, 4), "scales": (*batch, n, 3)}
        if given["covars"] is None
        else {"covars": (*batch, n, 3, 3)}
    )
    if given["backgrounds"] is not None and "RGB" in given["render_mode"]:
        wanted["backgrounds"] = (*batch, cams, colors.shape[-1])
    return wanted


def _require(condition: bool, name: str, got: object, wanted: str) -> None:
    if not condition:
        fail(
            f"rasterization({name})",
            got=got,
            wanted=wanted,
            fix="Shapes follow gsplat.rasterization; B batch, N Gaussians, C cameras.",
        )


def _finite(tensor: Tensor) -> bool:
    """One fast sum; only if that overflows, every value."""
    tensor = tensor.detach()
    return math.isfinite(tensor.sum().item()) or bool(torch.isfinite(tensor).all())


def _shapes(quats, scales, covars, lead: tuple[int, int]) -> tuple[Tensor, Tensor | None]:
    """Quaternions and scales, or upper triangles of the covariances and None."""
    if covars is None:
        return quats.reshape(*lead, 4), scales.reshape(*lead, 3)
    rows, columns = [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]
    return covars.reshape(*lead, 3, 3)[..., rows, columns], None


def _lens_rows(Ks: Tensor, width: int, height: int) -> np.ndarray:
    k = Ks.detach().reshape(-1, 3, 3).to(torch.float64).numpy()
    size = np.broadcast_to(np.array([width, height], np.float64), (len(k), 2))
    return np.concatenate([k[:, [0, 1, 0, 1], [0, 1, 2, 2]], size], axis=1)


def _features(given: dict, means: Tensor, views: Tensor, depths: Tensor) -> Float[Tensor, "F N X"]:
    """What is composited, with F = 1, B or I: colours, and depth as the last channel if asked."""
    n, images = means.shape[1], len(views)
    mode, colors, degree = given["render_mode"], given["colors"], given["sh_degree"]
    if mode in ("D", "ED"):
        return depths[..., None]
    tail = 1 if degree is None else 2
    colors = colors.reshape(math.prod(colors.shape[: -tail - 1]), n, *colors.shape[-tail:])
    if degree is not None:
        colors = spherical_harmonics(degree, means, views, colors)
    if "+" in mode:
        colors = colors.repeat_interleave(images // len(colors), 0)
        colors = torch.cat([colors, depths[..., None]], -1)
    return colors


def _backgrounds(given: dict, channels: int, images: int) -> Float[Tensor, "I X"] | None:
    back, mode = given["backgrounds"], given["render_mode"]
    if back is None or mode in ("D", "ED"):
        return None
    back = back.reshape(images, -1)
    return torch.nn.functional.pad(back, (0, channels - back.shape[1]))
