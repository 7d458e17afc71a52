"""Debris: pieces of an avatar that hang in the air, apart from the person.

Where a hand, a rim or crossed limbs disagree with the photo's mask, a refit can tear single
Gaussians off. In a render they are isolated specks beside the person.
"""

import numpy as np
from jaxtyping import Float
from scipy.ndimage import label

SOLID = 0.25  # coverage above which a pixel counts
SMALL = 1 / 200  # a piece is debris if it is smaller than this share of the largest


def count_debris(alpha: Float[np.ndarray, "H W"]) -> int:
    """Isolated pieces of a render that are much smaller than the person.

    Args:
        alpha: coverage in [0, 1], e.g. of an avatar in the photo's camera, some 640 pixels high.

    Source: ours; neighbours touch along an edge or at a corner.
    """
    pieces, num = label(alpha > SOLID, structure=np.ones((3, 3)))
    if num == 0:
        return 0
    sizes = np.bincount(pieces.ravel())[1:]
    return int((sizes < SMALL * sizes.max()).sum())
