"""Which way is up: our files are y up; most 3DGS scenes, and viewers made for them, are y down."""

import torch

from toolkit.errors import fail
from toolkit.gaussians import Gaussians

UP = ("y", "-y")
# Half a turn about z negates x and y. Each spherical harmonic is a polynomial in x, y and z; it
# changes its sign if the number of factors x and y is odd. In the order of 3DGS files:
ODD = torch.tensor(
    [0, *(1, 0, 1), *(0, 1, 0, 1, 0), *(1, 0, 1, 0, 1, 0, 1)]
)  # 1; y z x; xy yz z2 xz x2-y2; y3 xyz yz2 z3 xz2 zx2 x3


def with_up(gaussians: Gaussians, up: str) -> Gaussians:
    """The Gaussians with this axis up: as they are, or after half a turn about z.

    SuperSplat and other viewers of PlayCanvas turn every PLY by 180 degrees about z, because
    photogrammetry stores its scenes upside down. A file with "-y" up stands upright there.

    Args:
        gaussians: y up, as everywhere in this project.
        up: "y" or "-y".

    Raises:
        InputError: another axis.
    """
    if up not in UP:
        fail("up", got=repr(up), wanted=" or ".join(UP), fix="Try --up -y for SuperSplat.")
    if up == "y":
        return gaussians
    w, x, y, z = gaussians.quats.unbind(-1)
    sign = 1 - 2 * ODD[: gaussians.sh.shape[1]].to(gaussians.sh)
    return gaussians.replace(
        means=gaussians.means * torch.tensor([-1.0, -1.0, 1.0]).to(gaussians.means),
        quats=torch.stack([-z, -y, x, w], dim=-1),  # the quaternion (0, 0, 0, 1) times it
        sh=gaussians.sh * sign[:, None],
    )
