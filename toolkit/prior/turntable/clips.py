"""Turntable clips on disk and as training batches: what `tools/train/clips.py` writes."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from toolkit.errors import MissingFileError
from toolkit.prior.prior import Condition


@dataclass(frozen=True)
class ClipPair:
    """True and coarse clips of B people in model units, with what the prior may know.

    Attributes:
        truth: [-1, 1], on white.
        coarse: the same views of the coarse avatar.
        seen: share of each of its pixels that the photo saw, [0, 1].
        reference: front picture.
        carried: the coarse clip painted with `refine.carried.carried_colors`, if the
            shards have it.
        azimuths_deg, elevations_deg: of each view.
    """

    truth: Float[Tensor, "B 3 T H W"]
    coarse: Float[Tensor, "B 3 T H W"]
    seen: Float[Tensor, "B 1 T H W"]
    reference: Float[Tensor, "B 3 H W"]
    azimuths_deg: Float[Tensor, "B T"]
    elevations_deg: Float[Tensor, "B T"]
    carried: Float[Tensor, "B 3 T H W"] | None = None

    def condition(self, *, repair: bool) -> Condition:
        """For the repairer (sees the coarse clip) or for the plain prior."""
        return Condition(
            self.azimuths_deg,
            self.elevations_deg,
            self.reference,
            *((self.coarse, self.seen, self.carried) if repair else ()),
        )

    def mirrored(self) -> "ClipPair":
        """The mirror people: pictures flipped, azimuths negated."""
        return replace(
            self,
            truth=self.truth.flip(-1),
            coarse=self.coarse.flip(-1),
            seen=self.seen.flip(-1),
            reference=self.reference.flip(-1),
            carried=None if self.carried is None else self.carried.flip(-1),
            azimuths_deg=-self.azimuths_deg,
        )

    def views(self, index: Tensor) -> "ClipPair":
        """The same people seen from a subset of the views."""
        return replace(
            self,
            truth=self.truth[:, :, index],
            coarse=self.coarse[:, :, index],
            seen=self.seen[:, :, index],
            carried=None if self.carried is None else self.carried[:, :, index],
            azimuths_deg=self.azimuths_deg[:, index],
            elevations_deg=self.elevations_deg[:, index],
        )


class ClipStore:
    """All shards of one split in some folders, as uint8 in memory; `refresh` finds new ones."""

    def __init__(self, *folders: str | Path, split: str = "train"):
        self.folders, self.split = [Path(folder) for folder in folders], split
        self._shards: dict[Path, dict[str, np.ndarray]] = {}
        self.refresh()
        if not self._shards:
            names = ", ".join(map(str, self.folders))
            raise MissingFileError(
                f"{names} holds no {split}_*.npz. "
                f"Make them with: python -m tools.train.clips --split {split}"
            )

    def refresh(self) -> int:
        """Load shards written since the last call; the number of people."""
        for path in sorted(p for f in self.folders for p in f.glob(f"{self.split}_*.npz")):
            if path not in self._shards:
                with np.load(path, allow_pickle=False) as file:
                    self._shards[path] = dict(file)
        self._people = [
            (shard, row) for shard in self._shards.values() for row in range(len(shard["seeds"]))
        ]
        return len(self._people)

    def __len__(self) -> int:
        return len(self._people)

    def pair(self, indices: list[int], *, coarse_reference: bool = False) -> ClipPair:
        """Clips of the people at `indices`; the reference is the true or the coarse front view."""
        rows = [self._people[i] for i in indices]
        clips = torch.stack([to_model(torch.from_numpy(s["clips"][r])) for s, r in rows])
        truth, coarse, *carried = clips.unbind(dim=1)
        seen = torch.stack([torch.from_numpy(s["seen"][r]) for s, r in rows])[:, None] / 255
        angles = [
            torch.from_numpy(np.stack([s[key][r] for s, r in rows]))
            for key in ("azimuths_deg", "elevations_deg")
        ]
        reference = (coarse if coarse_reference else truth)[:, :, 0]
        return ClipPair(truth, coarse, seen, reference, *angles, *carried)

    def draw(
        self,
        batch: int,
        num_views: int,
        generator: torch.Generator,
        *,
        coarse_reference: bool | None = None,
        turned: float = 1.0,
    ) -> ClipPair:
        """A random training batch: people, views, mirror and (unless said) kind of reference.

        Args:
            batch, num_views: clips, and views of each.
            generator: of all draws.
            coarse_reference: see `pair`; None tosses a coin.
            turned: how much likelier a view more than 70 degrees from the front is.
        """
        people = torch.randint(len(self), (batch,), generator=generator).tolist()
        flip, coin = (torch.rand(2, generator=generator) < 0.5).tolist()
        pair = self.pair(
            people, coarse_reference=coin if coarse_reference is None else coarse_reference
        )
        weight = torch.where(torch.cos(torch.deg2rad(pair.azimuths_deg[0])) < 0.34, turned, 1.0)
        views = torch.multinomial(weight, num_views, generator=generator)
        pair = pair.views(views)
        return pair.mirrored() if flip else pair


def to_model(clips: UInt8[Tensor, "N T H W 3"]) -> Float[Tensor, "N 3 T H W"]:
    """uint8 pictures to model units in [-1, 1], channels before frames."""
    return clips.permute(0, 4, 1, 2, 3).float() / 127.5 - 1


def to_pictures(clip: Float[Tensor, "3 T H W"]) -> Float[Tensor, "T H W 3"]:
    """Model units back to pictures in [0, 1]."""
    return ((clip + 1) / 2).clamp(0, 1).permute(1, 2, 3, 0)
