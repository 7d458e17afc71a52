"""`meta` of `rasterization` on the CPU: gsplat 1.5.3's keys in its order, and its tile lists.

Training code for gsplat reads `meta`, for instance to see which Gaussians were visible. Compositing
works from lists of its own (`toolkit.render.cpu.plan.Plan`). The four lists that gsplat returns are
made from them when one is first read, so that rendering does not pay for them.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from toolkit.render.cpu.plan import Plan

KEYS = (
    "batch_ids",
    "camera_ids",
    "gaussian_ids",
    "radii",
    "means2d",
    "depths",
    "conics",
    "opacities",
    "tile_width",
    "tile_height",
    "tiles_per_gauss",
    "isect_ids",
    "flatten_ids",
    "isect_offsets",
    "width",
    "height",
    "tile_size",
    "n_batches",
    "n_cameras",
)
LISTS = ("tiles_per_gauss", "isect_ids", "flatten_ids", "isect_offsets")


class Meta(dict):
    """A dictionary of `KEYS`; ids are None, as in gsplat with `packed=False`."""

    def __init__(self, entries: dict[str, Any], plans: list[Plan]):
        super().__init__({key: entries.get(key) for key in KEYS})
        self._plans = plans  # of every image; None once the lists are made

    def __getitem__(self, key: str) -> Any:
        if key in LISTS and self._plans is not None:
            self._make_lists()
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[str]:  # dict(meta) and {**meta} then read through __getitem__
        return super().__iter__()

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if key in self else default

    def values(self) -> list:
        return [self[key] for key in self]

    def items(self) -> list[tuple[str, Any]]:
        return [(key, self[key]) for key in self]

    def _make_lists(self) -> None:
        """Write the plans in gsplat's encoding.

        Each (Gaussian, tile) pair has a 64-bit key: image and tile in the upper half, the bits of
        the depth in the lower half. The bits of positive floats sort like the floats themselves, so
        that one sort of the keys orders the pairs by image, by tile, and near to far.

        Source: gsplat 1.5.3, IntersectTile.cu.
        """
        plans, self._plans = self._plans, None
        *lead, n = self["depths"].shape
        across, down = self["tile_width"], self["tile_height"]
        tile_bits = (across * down).bit_length()
        depths = self["depths"].detach().reshape(len(plans), n).numpy()
        counts = np.zeros((len(plans), n), np.int32)
        keys, ids, starts = [], [], []
        first = 0
        for i, plan in enumerate(plans):
            counts[i, plan.order] = np.diff(plan.first_slot)
            gaussian = plan.order[plan.entries[:, 0]]  # entries hold ranks, gsplat wants indices
            tile = np.repeat(np.arange(across * down), np.diff(plan.offsets))
            keys.append((i << tile_bits | tile) << 32 | depths[i].view(np.uint32)[gaussian])
            ids.append(gaussian + i * n)
            starts.append(plan.offsets[:-1] + first)
            first += len(gaussian)
        lists = {
            "tiles_per_gauss": counts.reshape(*lead, n),
            "isect_ids": np.concatenate(keys).astype(np.int64),
            "flatten_ids": np.concatenate(ids).astype(np.int32),
            "isect_offsets": np.stack(starts).astype(np.int32).reshape(*lead, down, across),
        }
        self.update({key: torch.from_numpy(value) for key, value in lists.items()})
