"""How a turntable clip lies on the grid of a video VAE, and comes back unharmed.

A video VAE turns the first frame into one latent frame, every 4 further frames into another, and
8 x 8 pixels into one cell; the transformer joins 2 x 2 cells. Video pipelines answer misfits
silently: they stretch the pictures and drop frames. Here the clip is padded and cropped.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from toolkit.errors import fail
from toolkit.prior.prior import Condition, Encoded

CELL_PX = 8  # side of a latent cell in pixels
PATCH_PX = 16  # of a transformer token: 2 x 2 cells
GROUP = 4  # frames per latent frame; the first frame has a latent frame to itself


@dataclass(frozen=True)
class LatentGrid:
    """A clip's place on the grid.

    Attributes:
        frames: of the clip; any number.
        height: pixels; any number.
        width: pixels.
        close_loop: end on the first view again. A video prior does not know that a turntable is a
            loop, and the last view would have no neighbour on its other side.
    """

    frames: int
    height: int
    width: int
    close_loop: bool = False

    @property
    def padded(self) -> tuple[int, int, int]:
        """Frames, height and width on the grid, each the next one that fits."""
        wanted = self.frames + int(self.close_loop)
        return (
            1 + GROUP * -(-(wanted - 1) // GROUP),
            -(-self.height // PATCH_PX) * PATCH_PX,
            -(-self.width // PATCH_PX) * PATCH_PX,
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Latent frames, height and width in cells."""
        return latent_shape(*self.padded)

    @property
    def views(self) -> Int[Tensor, " T2"]:
        """Which view each frame shows; after the last, the turntable turns on: 0, 1, 2."""
        return torch.arange(self.padded[0]) % self.frames

    @property
    def num_tokens(self) -> int:
        """Tokens the transformer sees; attention costs their square."""
        t, h, w = self.shape
        return t * h * w // 4

    def place(
        self, clip: Float[Tensor, "B C T H W"], *, fill: float = 1.0
    ) -> Float[Tensor, "B C T2 H2 W2"]:
        """Pad with `fill` (1 is white) around the picture, and with the orbit's next views."""
        _, height, width = self.padded
        top, left = (height - self.height) // 2, (width - self.width) // 2
        margins = (left, width - self.width - left, top, height - self.height - top)
        return F.pad(clip[:, :, self.views.to(clip.device)], margins, value=fill)

    def restore(self, clip: Float[Tensor, "B C T2 H2 W2"]) -> Float[Tensor, "B C T H W"]:
        """Undo `place`."""
        _, height, width = self.padded
        if tuple(clip.shape[2:]) != self.padded:
            fail(
                "decoded clip",
                got=tuple(clip.shape[2:]),
                wanted=str(self.padded),
                fix="The prior's encode and decode must agree about frames and size.",
            )
        top, left = (height - self.height) // 2, (width - self.width) // 2
        return clip[:, :, : self.frames, top : top + self.height, left : left + self.width]

    def pool(self, keep: Float[Tensor, "B 1 T H W"]) -> Float[Tensor, "B 1 t h w"]:
        """A mask of pixels to keep, as a mask of cells: the lowest value of all 4 x 8 x 8 pixels.

        Lowest, because a kept cell is pulled to the coarse clip with everything that is in it.
        """
        placed = self.place(keep, fill=0.0)
        alone = placed[:, :, :1].expand(-1, -1, GROUP, -1, -1)  # the first frame has its own cell
        grouped = torch.cat([alone, placed[:, :, 1:]], dim=2)
        return -F.max_pool3d(-grouped, (GROUP, CELL_PX, CELL_PX))


def latent_shape(frames: int, height: int, width: int) -> tuple[int, int, int]:
    """Latent frames, height and width of a clip.

    Raises:
        InputError: a clip that a video VAE would cut short or cannot take.
    """
    if frames < 1 or frames % GROUP != 1:
        fail(
            "clip length",
            got=f"{frames} frames",
            wanted="4k + 1 (1, 5, 9, 13, ...); the VAE drops the rest without a word",
            fix="LatentGrid.place pads a turntable.",
        )
    if height < 1 or width < 1 or height % PATCH_PX or width % PATCH_PX:
        fail(
            "clip size",
            got=f"{width}x{height} pixels",
            wanted=f"multiples of {PATCH_PX}",
            fix="LatentGrid.place pads; stretching would change the person.",
        )
    return 1 + (frames - 1) // GROUP, height // CELL_PX, width // CELL_PX


class GridCodec:
    """`encode` and `decode` of a `Prior` that has a video VAE: clips of any length and size.

    A subclass gives `to_latents` and `to_clip` (the VAE itself, on clips that fit its grid),
    `condition`, `velocity` and `close_loop`.
    """

    close_loop: bool  # whether clips end on their first view again, see `LatentGrid`

    def to_latents(self, clip: Float[Tensor, "B 3 T2 H2 W2"]) -> Float[Tensor, "B C t h w"]:
        """The VAE's encoder."""
        raise NotImplementedError

    def to_clip(self, latents: Float[Tensor, "B C t h w"]) -> Float[Tensor, "B 3 T2 H2 W2"]:
        """The VAE's decoder."""
        raise NotImplementedError

    def condition(self, known: Condition) -> Any:
        """What `velocity` wants to know of a clip that already lies on the grid."""
        raise NotImplementedError

    def encode(self, known: Condition) -> Encoded:
        """Lay the coarse clip, its angles and its front picture on the grid, then encode."""
        grid = self._grid(known)
        placed = grid.place(known.coarse)
        on_grid = Condition(
            known.azimuths_deg[..., grid.views],
            known.elevations_deg[..., grid.views],
            reference=placed[:, :, 0],
            coarse=placed,
        )
        latents = self.to_latents(placed)
        keep = None if known.seen is None else grid.pool(known.seen).to(latents)
        return Encoded(latents, keep, self.condition(on_grid))

    def decode(self, latents: Tensor, known: Condition) -> Float[Tensor, "B 3 T H W"]:
        """Decode, then cut the padding off again."""
        return self._grid(known).restore(self.to_clip(latents)).to(known.coarse)

    def _grid(self, known: Condition) -> LatentGrid:
        return LatentGrid(*known.coarse.shape[2:], close_loop=self.close_loop)
