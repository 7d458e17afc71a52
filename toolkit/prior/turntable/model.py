"""Our small turntable video prior: one architecture, trained twice.

*Plain*: given the front picture and the view angles, it knows what turning people look like and
nothing of coarse renders (the paper's setting). *Repairer*: it also sees the coarse clip, and
predicts what to change in it. Both answer `velocity(x, sigma, condition)` for the one SDEdit loop.
"""

import os
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from toolkit.errors import fail
from toolkit.prior.prior import Condition, PixelCodec
from toolkit.prior.turntable.unet import NUM_ANGLES, ViewUNet, noise_features, view_features
from toolkit.run.model_file import read_model, write_model

MADE_BY = "python -m tools.train.clips && python -m tools.train.turntable"


@dataclass(frozen=True)
class TurntableConfig:
    """Size of the network and scale of the data."""

    channels: tuple[int, int, int] = (32, 64, 128)  # of the three levels, multiples of 8
    embedding: int = 128  # width of the conditioning vector
    heads: int = 4  # of the attentions; divides channels[2]
    data_std: float = 0.65  # rms of clip - white in the training clips, values in [-1, 1]
    residual_std: float = 0.2  # rms of clip - coarse in the training clips
    carried: bool = False  # whether it looks at `Condition.carried`


class TurntablePrior(PixelCodec, nn.Module):
    """Karras preconditioning in flow notation around a U-Net over views.

    A network that had to draw the clean clip by itself would lose detail even at low noise. So it
    only predicts a correction. The network works on the offset from a base picture: the coarse clip
    for the repairer, plain white for the plain prior. Let

        d = rms of (x0 - base) over the training data
        y = x - (1-s) base             the noisy offset
        n = sqrt((1-s)^2 d^2 + s^2)    its rms, so y / n has unit variance

    The clean estimate is `base + (1-s) d^2 / n^2 y + s d / n net(y / n)`. The second term is the
    best linear guess (Wiener filter); the network adds what a linear guess cannot know. The
    repairer's network sees y / n times (1-s) d / n instead, which is 0 at s = 1. At s = 0
    the estimate is x itself, so nothing can be destroyed, and nothing divides by s or 1 - s.

    Source: Karras et al. 2022, table 1 (EDM), with t = s / (1 - s).
    """

    def __init__(self, config: TurntableConfig = TurntableConfig()):  # noqa: B008
        super().__init__()
        self.config = config
        width = config.embedding
        self.embed = nn.Sequential(
            nn.Linear(16 + NUM_ANGLES + 1, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
        )
        # Channels per frame: noisy 3, coarse 3, front picture 3, front picture mirrored 3 (its
        # silhouette is that of the back view), seen 1. With `carried` three more go in, and two
        # more come out: which share of the carried colours to copy, fine and broad.
        inputs, outputs = (16, 5) if config.carried else (13, 3)
        self.net = ViewUNet(inputs, config.channels, width, config.heads, outputs)

    @torch.no_grad()
    def velocity(
        self, x: Float[Tensor, "B 3 T H W"], sigma: Tensor | float, condition: Condition
    ) -> Float[Tensor, "B 3 T H W"]:
        """Flow velocity `E[eps - x0 | x]`; `sigma` in [0, 1], one value or one per clip."""
        s, d, base, n, y, out = self._answer(x, sigma, condition)
        # (x - clean) / s with the class's formula put in; s cancels, so s = 0 is no special case
        return (s - (1 - s) * d**2) / n**2 * y - base - d / n * out

    def clean(
        self, x: Float[Tensor, "B 3 T H W"], sigma: Tensor | float, condition: Condition
    ) -> Float[Tensor, "B 3 T H W"]:
        """The clean clip expected behind `x`, with gradients."""
        s, d, base, n, y, out = self._answer(x, sigma, condition)
        return base + (1 - s) * d**2 / n**2 * y + s * d / n * out

    def loss(
        self,
        x0: Float[Tensor, "B 3 T H W"],
        sigma: Float[Tensor, " S"],
        condition: Condition,
        noise: Tensor,
    ) -> Float[Tensor, ""]:
        """Mean squared error of the network's own output: every noise level counts alike."""
        s, d, base = self._scales(x0, sigma, condition)
        n = ((1 - s) ** 2 * d**2 + s**2).sqrt()
        y = (1 - s) * (x0 - base) + s * noise
        # solve clean = x0 for the output: (x0 - base) n / (s d) - (1-s) d y / (s n), without 1/s
        target = (s * (x0 - base) - (1 - s) * d**2 * noise) / (n * d)
        out = self(self._gain(s, n, condition) * y / n, s.flatten(), condition)
        return (out - target).square().mean()

    def _answer(self, x: Tensor, sigma: Tensor | float, condition: Condition) -> tuple:
        """s, d, base, n and y of the class's formula, and the network's output."""
        s, d, base = self._scales(x, sigma, condition)
        n = ((1 - s) ** 2 * d**2 + s**2).sqrt()
        y = x - (1 - s) * base
        return s, d, base, n, y, self(self._gain(s, n, condition) * y / n, s.flatten(), condition)

    def one_step(self, condition: Condition) -> Float[Tensor, "B 3 T H W"]:
        """The clean estimate from pure noise (s = 1): what the repairer is trained on.

        The noisy input has no weight there, so the answer does not depend on the noise, as in
        single-step refiners (Difix, Wu et al. 2025).
        """
        base = condition.coarse
        if base is None:
            fail(
                "one_step",
                got="no coarse clip",
                wanted="the repairer's condition",
                fix="Give Condition.coarse.",
            )
        return self.clean(torch.zeros_like(base), 1.0, condition)

    def forward(
        self, scaled: Float[Tensor, "B 3 T H W"], sigma: Float[Tensor, " S"], condition: Condition
    ) -> Float[Tensor, "B 3 T H W"]:
        """The bare network; `scaled` is the noisy offset from the base at unit variance or less."""
        batch, _, frames, height, width = scaled.shape
        angles = [
            a.to(scaled).expand(batch, frames)
            for a in (condition.azimuths_deg, condition.elevations_deg)
        ]
        views = view_features(*angles)
        embedding = self.embed(
            torch.cat(
                [
                    noise_features(sigma.expand(batch))[:, None].expand(-1, frames, -1),
                    views,
                    torch.full_like(views[..., :1], float(condition.coarse is not None)),
                ],
                dim=-1,
            )
        )
        # Pictures enter as offsets from white (- 1), so that an empty background is zero
        front = (condition.reference - 1)[:, :, None].expand(-1, -1, frames, -1, -1)
        coarse = torch.zeros_like(scaled) if condition.coarse is None else condition.coarse - 1
        seen = torch.zeros_like(scaled[:, :1]) if condition.seen is None else condition.seen
        parts = [scaled, coarse, front, front.flip(-1), seen]
        if self.config.carried:
            carried = condition.carried
            parts.append(torch.zeros_like(scaled) if carried is None else carried - 1)
        # (B, C, T, H, W) -> (B T, C, H, W): the U-Net works on frames, its attention joins views
        stacked = torch.cat(parts, dim=1).transpose(1, 2)
        out = self.net(
            stacked.flatten(0, 1), embedding.flatten(0, 1), views, condition.reference - 1
        )
        out = out.reshape(batch, frames, -1, height, width).transpose(1, 2)
        if not self.config.carried or condition.carried is None or condition.coarse is None:
            return out[:, :3]
        return out[:, :3] + self._copied(out[:, 3:], condition.carried - condition.coarse)

    def _copied(
        self, shares: Float[Tensor, "B S T H W"], offset: Float[Tensor, "B 3 T H W"]
    ) -> Float[Tensor, "B 3 T H W"]:
        """What `carried` adds to the coarse clip; its fine and broad parts in shares of their own.

        Broad is the mean over 9x9 pixels. A pattern may be worth copying where its shade is wrong.
        """
        broad = F.avg_pool3d(offset, (1, 9, 9), stride=1, padding=(0, 4, 4))
        return (shares[:, :1] * (offset - broad) + shares[:, 1:] * broad) / self.config.residual_std

    def with_carried_input(self) -> "TurntablePrior":
        """A copy with inputs for `Condition.carried`; until it is trained it answers the same."""
        wider = TurntablePrior(replace(self.config, carried=True))
        weights, stem = self.state_dict(), self.net.stem.weight.detach()
        # the stem's channels are 4 pixels of each picture channel, and last 2 of place
        new = torch.zeros(len(stem), 12, *stem.shape[2:])
        weights["net.stem.weight"] = torch.cat([stem[:, :-2], new, stem[:, -2:]], dim=1)
        for part in ("weight", "bias"):
            head = weights[f"net.head.{part}"]
            weights[f"net.head.{part}"] = torch.cat([head, torch.zeros(8, *head.shape[1:])])
        wider.load_state_dict(weights)
        return wider

    def save(self, path: str | os.PathLike, **notes: str) -> None:
        """Weights as float16 with the configuration (and string notes) in the file's metadata."""
        write_model(self, path, **notes)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "TurntablePrior":
        """Read `save`'s file; the model comes back in eval mode.

        Raises:
            MissingFileError, InputError: no such file, or not a turntable prior.
        """
        config, weights = read_model(
            path,
            TurntableConfig,
            what="turntable",
            written_by="TurntablePrior.save",
            made_by=MADE_BY,
        )
        model = cls(config)
        model.load_state_dict(weights)  # to float32
        return model.eval()

    def _gain(self, s: Tensor, n: Tensor, condition: Condition) -> Tensor | float:
        """Factor of the repairer's noisy input: it fades as the input's share of signal does."""
        return 1.0 if condition.coarse is None else (1 - s) * self.config.residual_std / n

    def _scales(
        self, x: Tensor, sigma: Tensor | float, condition: Condition
    ) -> tuple[Tensor, float, Tensor]:
        condition.check(x)
        s = torch.as_tensor(sigma, dtype=x.dtype, device=x.device).reshape(-1, 1, 1, 1, 1)
        if condition.coarse is None:
            return s, self.config.data_std, torch.ones_like(x)
        return s, self.config.residual_std, condition.coarse
