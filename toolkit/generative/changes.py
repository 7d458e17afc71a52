"""What changes a coarse avatar into a refined one, as thirteen numbers per Gaussian of unit size.

The Gaussians are the same ones in the same order, so the change of each can be written down and
applied again without loss.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.body.rotations import multiply_quats
from toolkit.errors import fail
from toolkit.gaussians import Gaussians

# One unit of each change: its standard deviation over ten people of data/samples/people_32.
UNITS = {"colors": 0.044, "means": 1.2e-3, "scales": 0.11, "opacities": 4.3e-3, "rotations": 0.028}
SIZES = {"colors": 3, "means": 3, "scales": 3, "opacities": 1, "rotations": 3}
CHANNELS = sum(SIZES.values())


def changes_between(base: Gaussians, changed: Gaussians) -> Float[Tensor, "N 13"]:
    """The numbers with which `apply_changes` makes `changed` from `base`.

    Args:
        base, changed: the same Gaussians before and after, of degree 0.

    Returns:
        Changes of colours, centres, logarithms of scales and opacities, and the turn of the axes
        (x, y, z of its unit quaternion with w >= 0), each in its `UNITS`.

    Raises:
        InputError: other numbers of Gaussians, or colours that depend on the view.
    """
    if len(base) != len(changed) or base.sh_degree or changed.sh_degree:
        fail(
            "changes_between",
            got=f"{len(base)} Gaussians of degree {base.sh_degree}, "
            f"{len(changed)} of degree {changed.sh_degree}",
            wanted="two sets of one number and of degree 0",
            fix="Take the coarse and the refined avatar of one person.",
        )
    signs = base.quats.new_tensor([1.0, -1, -1, -1])
    turn = multiply_quats(changed.quats, base.quats * signs)  # after the inverse of the base's
    parts = {
        "colors": changed.colors - base.colors,
        "means": changed.means - base.means,
        "scales": (changed.scales / base.scales).log(),
        "opacities": (changed.opacities - base.opacities)[:, None],
        "rotations": turn[:, 1:] * torch.where(turn[:, :1] < 0, -1.0, 1.0),
    }
    return torch.cat([parts[name] / unit for name, unit in UNITS.items()], dim=1)


def apply_changes(base: Gaussians, changes: Float[Tensor, "N 13"]) -> Gaussians:
    """The Gaussians after their changes; any numbers give valid Gaussians. Differentiable.

    Args:
        base: of degree 0.
        changes: as `changes_between` returns them. Opacities are clamped to [0, 1].
    """
    parts = dict(zip(UNITS, changes.split(list(SIZES.values()), dim=1), strict=True))
    p = {name: part * UNITS[name] for name, part in parts.items()}
    axis = p["rotations"]
    w = (1 - axis.square().sum(1, keepdim=True)).clamp_min(1e-12).sqrt()
    turn = torch.nn.functional.normalize(torch.cat([w, axis], dim=1), dim=1)
    return Gaussians.from_colors(
        base.means + p["means"],
        torch.nn.functional.normalize(multiply_quats(turn, base.quats), dim=1),
        base.scales * p["scales"].exp(),
        (base.opacities + p["opacities"][:, 0]).clamp(0, 1),
        base.colors + p["colors"],
    )
