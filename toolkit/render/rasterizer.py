"""`rasterization`, with gsplat 1.5.3's signature: our kernels on a CPU, gsplat itself on CUDA.

Code that was written for gsplat runs unchanged. Why not gsplat on the CPU too: its kernels exist
for CUDA alone.

Two differences on a CPU: `meta` is what gsplat returns with `packed=False`; and its tile lists
belong to the tile size in `meta["tile_size"]`, not to the argument, and are tighter than gsplat's.
"""

from jaxtyping import Float
from torch import Tensor

from toolkit.render import gsplat_kernels
from toolkit.render.arguments import check_arguments, refuse_cuda_only


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
    radial_coeffs: Tensor | None = None,
    tangential_coeffs: Tensor | None = None,
    thin_prism_coeffs: Tensor | None = None,
    ftheta_coeffs: object | None = None,
    rolling_shutter: object | None = None,
    viewmats_rs: Tensor | None = None,
) -> tuple[Tensor, Tensor, dict]:
    """Rasterize N Gaussians into C pinhole cameras: gsplat 1.5.3's arguments, results and rules.

    `packed`, `tile_size`, `sparse_grad`, `absgrad`, `channel_chunk` and `segmented` only steer
    gsplat's CUDA kernels; on a CPU they change nothing.

    Args:
        means: centres in the world, metres.
        quats: rotations (w, x, y, z), of any length above zero.
        scales: standard deviations in metres, > 0.
        opacities: in [0, 1].
        colors: (*B,(C,)N,D) colours, or with `sh_degree` harmonics (*B,(C,)N,K,3).
        viewmats: world to camera, OpenCV axes.
        Ks: intrinsics in pixels; they get no gradient.
        width, height: of the pictures in pixels.
        near_plane, far_plane: metres; Gaussians outside are not drawn.
        radius_clip: pixels; smaller Gaussians are not drawn.
        eps2d: px^2, blur added to every projected Gaussian, so that one thinner than a pixel does
            not slip between pixel centres.
        sh_degree: highest band of the harmonics, 0 to 3.
        backgrounds: colour behind everything, black if None.
        render_mode: RGB, D (sum of weights times depth), ED (mean depth), RGB+D or RGB+ED.
        rasterize_mode: "antialiased" lowers the opacity of what `eps2d` makes larger.
        covars: covariances in place of `quats` and `scales`.

    Returns:
        colors (*B,C,H,W,X), alphas (*B,C,H,W,1), meta. X is D, 1 for D and ED, D+1 for RGB+(E)D.

    Raises:
        InputError: shapes that do not fit, NaN or Inf, an unknown mode.
        MissingCapabilityError: a switch that only gsplat's CUDA kernels have, or tensors on a GPU
            where these kernels cannot be had.
    """
    arguments = dict(locals())  # all of them by name; so this must stay the first line
    if means.is_cuda:
        gsplat_kernels.require()
        return call_gsplat(arguments)
    refuse_cuda_only(arguments)
    check_arguments(arguments)
    # Imported here because numba takes half a second to load, and a GPU user never needs it.
    from toolkit.render.cpu.rasterize import rasterize_on_cpu

    return rasterize_on_cpu(arguments)


def call_gsplat(arguments: dict) -> tuple[Tensor, Tensor, dict]:
    """The same call, to gsplat's own function."""
    import gsplat  # only where there is a GPU: it loads its CUDA kernels

    arguments = dict(arguments)
    if arguments["rolling_shutter"] is None:
        arguments.pop("rolling_shutter")  # gsplat's default is an enum of its CUDA module
    return gsplat.rasterization(**arguments)
