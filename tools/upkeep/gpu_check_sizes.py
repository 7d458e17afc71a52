"""Sizes of the networks, clips and scenes of `gpu_check`: real ones, and tiny ones for a CPU."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from toolkit.coarse.lhm.config import RELEASED, LHMConfig
from toolkit.coarse.lhm.encoders import DINOV2_L, RESIZE, SAPIENS_1B
from toolkit.coarse.lhm.tiny import HEAD_VIT
from toolkit.photo.multihmr.head import HeadConfig
from toolkit.photo.multihmr.model import MultiHMRConfig
from toolkit.photo.vit import VitConfig
from toolkit.prior.wan.published import MODELS
from toolkit.prior.wan.tiny import TINY_TEXT, TINY_TRANSFORMER, TINY_VAE


@dataclass(frozen=True)
class Sizes:
    """What is measured.

    Attributes:
        lhm, head, sapiens, widths: LHM, its two encoders, and the widths of the head's four depths.
        head_px, body_px: sides of the pictures that the encoders see.
        pose: Multi-HMR.
        transformer, vae: Wan's two networks, as diffusers configures them.
        text_dim: width of an embedded prompt.
        clips: frames, height and width in pixels of the clips for Wan, on its grid.
        num_gaussians, num_views, size: of the scene for the rasterisers.
        job_fit_steps: of the refit in the whole job.
    """

    lhm: LHMConfig
    head: VitConfig
    sapiens: VitConfig
    widths: tuple[int, ...]
    head_px: int
    body_px: int
    pose: MultiHMRConfig
    transformer: Mapping
    vae: Mapping
    text_dim: int
    clips: tuple[tuple[int, int, int], ...]
    num_gaussians: int
    num_views: int
    size: tuple[int, int]
    job_fit_steps: int = field(default=4)


REAL = Sizes(
    lhm=RELEASED["LHM-1B"],
    head=DINOV2_L,
    sapiens=SAPIENS_1B,
    widths=(1024,) * 4,
    head_px=448,
    body_px=1024,
    pose=MultiHMRConfig(),
    transformer=MODELS["t2v-1.3b"].transformer,
    vae={},
    text_dim=4096,
    clips=((25, 832, 480), (81, 832, 480)),
    num_gaussians=40_000,
    num_views=21,
    size=(832, 480),
)
TINY = Sizes(
    lhm=LHMConfig(
        2, 200, dim=64, heads=4, feed_dim=128, token_dim=128, motion_dim=32, decoder_dim=64
    ),
    head=HEAD_VIT,
    sapiens=VitConfig(128, 2, patch=16, grid=4, scaled=False, mask_token=False, **RESIZE),
    widths=(16,) * 4,
    head_px=56,
    body_px=64,
    pose=MultiHMRConfig(
        VitConfig(dim=64, depth=2, grid=5),
        HeadConfig(64 + 99, dim=64, num_heads=2, mlp_dim=64, grid=8),
        112,
    ),
    transformer=TINY_TRANSFORMER,
    vae=TINY_VAE,
    text_dim=TINY_TEXT["d_model"],
    clips=((5, 64, 32), (9, 64, 32)),
    num_gaussians=500,
    num_views=5,
    size=(64, 32),
    job_fit_steps=2,
)
