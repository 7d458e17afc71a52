"""A set of people as training data: one shard after the other, one person in memory at a time."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from toolkit.dataset.bulk.folder import SetFolder
from toolkit.dataset.bulk.manifest import Manifest
from toolkit.dataset.bulk.pictures import unwebp
from toolkit.dataset.bulk.quantise import decode
from toolkit.dataset.bulk.tars import read_samples
from toolkit.errors import fail
from toolkit.gaussians import Gaussians
from toolkit.generative.changes import changes_between
from toolkit.generative.layout import PixelLayout


@dataclass(frozen=True)
class Pair:
    """A person of a set.

    Attributes:
        name: id of the sample.
        coarse, refined: the same Gaussians in the T-pose, before and after.
        coarse_map: colours of the coarse avatar, laid out; RGB around [0, 1].
        change_map: `changes_between` coarse and refined, laid out.
        photo: sRGB.
        attributes: name -> value, as in the set's records.
    """

    name: str
    coarse: Gaussians
    refined: Gaussians
    coarse_map: Float[Tensor, "3 2 H W"]
    change_map: Float[Tensor, "13 2 H W"]
    photo: UInt8[np.ndarray, "h w 3"]
    attributes: dict[str, str]


def stream_pairs(
    folder: SetFolder, layout: PixelLayout, *, seed: int | None = None
) -> Iterator[Pair]:
    """The people of a set, one by one.

    Args:
        folder: of a set that `toolkit synthesize` made.
        layout: of the anchors with which the set was made.
        seed: of the order of the shards; None keeps it. Within a shard the order stays.

    Raises:
        MissingFileError: there is no set in the folder.
        InputError: a damaged shard, or another number of Gaussians than the layout's.
    """
    shards = Manifest.load(folder).shards
    order = np.arange(len(shards))
    if seed is not None:
        order = np.random.default_rng(seed).permutation(order)
    for index in order:
        for name, parts in read_samples(folder.path / shards[index].file):
            yield _pair(name, parts, layout)


def _pair(name: str, parts: dict[str, bytes], layout: PixelLayout) -> Pair:
    coarse, refined = decode(parts["gaussians.npz"])
    if len(coarse) != len(layout.pixels):
        fail(
            f"Sample {name}",
            got=f"{len(coarse)} Gaussians",
            wanted=f"{len(layout.pixels)}, the anchors of the layout",
            fix="Make the layout with as many anchors as the set has.",
        )
    return Pair(
        name,
        coarse,
        refined,
        layout.write(coarse.colors),
        layout.write(changes_between(coarse, refined)),
        unwebp(parts["photo.webp"]),
        json.loads(parts["json"])["attributes"],
    )
