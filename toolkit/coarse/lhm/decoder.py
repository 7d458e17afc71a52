"""Latents to Gaussians: LHM's decoder, and the body buffers that a checkpoint keeps beside it."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from toolkit.coarse.lhm.config import LHMConfig
from toolkit.coarse.lhm.skinning import SkinnedPoints

MAX_UPPER_SCALE_M = 0.02  # of Gaussians on the upper body; others: `LHMConfig.max_scale_m`


class _Layers(nn.Module):
    """The decoder's trunk under its key, `mlp_net.layers`."""

    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(dim, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, dim),
        )


class _Heads(nn.Module):
    """One linear head per attribute, under their key, `gs_net.out_layers`."""

    def __init__(self, dim: int):
        super().__init__()
        widths = {"xyz": 3, "scaling": 3, "rotation": 4, "opacity": 1, "shs": 3}
        self.out_layers = nn.ModuleDict({k: nn.Linear(dim, n) for k, n in widths.items()})


class GaussianDecoder(nn.Module):
    """Latents to attributes, and the body that carries the points; key `renderer`."""

    def __init__(self, config: LHMConfig):
        super().__init__()
        self.config = config
        self.mlp_net, self.gs_net = _Layers(config.dim, config.decoder_dim), _Heads(config.dim)
        self.smplx_model = SkinnedPoints(
            points=config.points, joints=config.joints, betas=config.betas, vertices=config.vertices
        )

    def forward(self, latent: Float[Tensor, "N D"]) -> dict[str, Tensor]:
        """Offset (m, canonical pose), scaling (m), rotation (wxyz), opacity and rgb in [0, 1]."""
        hidden = self.mlp_net.layers(latent)
        raw = {name: head(hidden) for name, head in self.gs_net.out_layers.items()}
        scaling = raw["scaling"].exp().clamp(0, self.config.max_scale_m)
        # face and hands are on the upper body: smaller Gaussians keep their detail
        upper = self.smplx_model.is_upper_body[:, None]
        return {
            "offset": (raw["xyz"].sigmoid() - 0.5) * self.config.max_offset_m,
            "rotation": F.normalize(raw["rotation"], dim=-1),
            "scaling": torch.where(upper, scaling.clamp_max(MAX_UPPER_SCALE_M), scaling),
            "opacity": raw["opacity"].sigmoid(),
            "rgb": raw["shs"].sigmoid(),
        }
