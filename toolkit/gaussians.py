"""`Gaussians`, the one type that flows through every stage, and its standard 3DGS PLY file."""

import os
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.errors import fail
from toolkit.run.files import atomic_path
from toolkit.run.ply_file import read_ply_columns

# The zeroth spherical harmonic, 1 / (2 sqrt(pi)), is constant: its coefficient is the plain colour,
# colour = 0.5 + SH_C0 * coefficient. The 0.5 puts grey at zero, as all 3DGS software does.
SH_C0 = 0.28209479177387814


@dataclass(frozen=True)
class Gaussians:
    """N anisotropic 3D Gaussians.

    All values are physical: the logarithms of scales and the logits of opacities, which optimisers
    and PLY files use, stay inside the refit and the PLY functions below. The covariance of a
    Gaussian is R diag(scales)^2 R^T, with R the rotation of its quaternion.

    Attributes:
        means: centres, metres.
        quats: rotations, unit quaternions (w, x, y, z).
        scales: standard deviations along the rotated axes, metres, > 0.
        opacities: in [0, 1].
        sh: spherical-harmonics coefficients of the colour, K = (degree + 1)^2 per channel; K = 1 is
            a plain colour, the same from all sides.
    """

    means: Float[Tensor, "N 3"]
    quats: Float[Tensor, "N 4"]
    scales: Float[Tensor, "N 3"]
    opacities: Float[Tensor, " N"]
    sh: Float[Tensor, "N K 3"]

    def __post_init__(self):
        n = self.means.shape[0]
        shapes = {f.name: tuple(getattr(self, f.name).shape) for f in fields(self)}
        k = self.sh.shape[1] if self.sh.ndim == 3 else 0
        wanted = {
            "means": (n, 3),
            "quats": (n, 4),
            "scales": (n, 3),
            "opacities": (n,),
            "sh": (n, k, 3),
        }
        if shapes != wanted or k not in (1, 4, 9, 16):
            fail(
                "Gaussians",
                got=shapes,
                wanted="(N,3) (N,4) (N,3) (N,) (N,K,3) with K in 1,4,9,16",
                fix="Give all tensors the same N.",
            )

    def __len__(self) -> int:
        return self.means.shape[0]

    @property
    def sh_degree(self) -> int:
        """Degree of the spherical harmonics, 0 to 3."""
        return int(self.sh.shape[1] ** 0.5) - 1

    @property
    def colors(self) -> Float[Tensor, "N 3"]:
        """The part of the colour that does not depend on the view: RGB, not clamped to [0, 1]."""
        return 0.5 + SH_C0 * self.sh[:, 0]

    @classmethod
    def from_colors(
        cls,
        means: Float[Tensor, "N 3"],
        quats: Float[Tensor, "N 4"],
        scales: Float[Tensor, "N 3"],
        opacities: Float[Tensor, " N"],
        colors: Float[Tensor, "N 3"],
    ) -> "Gaussians":
        """Gaussians of one plain RGB colour each (degree 0); colours in [0, 1]."""
        return cls(means, quats, scales, opacities, ((colors - 0.5) / SH_C0)[:, None])

    def recolored(self, colors: Float[Tensor, "N 3"]) -> "Gaussians":
        """The same Gaussians in other plain RGB colours."""
        return self.replace(sh=((colors - 0.5) / SH_C0)[:, None])

    def replace(self, **changes: Tensor) -> "Gaussians":
        """A copy with some tensors exchanged, e.g. `gaussians.replace(means=moved)`."""
        return replace(self, **changes)

    def to(self, device: torch.device | str) -> "Gaussians":
        return Gaussians(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    def detach(self) -> "Gaussians":
        """A copy through which no gradient flows."""
        return Gaussians(**{f.name: getattr(self, f.name).detach() for f in fields(self)})

    def save_ply(self, path: str | os.PathLike) -> None:
        """Write the standard 3DGS PLY file, which other viewers and tools read."""
        save_ply(self, path)

    @classmethod
    def load_ply(cls, path: str | os.PathLike) -> "Gaussians":
        """Read a 3DGS PLY file: ours, gsplat's, Inria's, LHM's or LHM++'s."""
        return load_ply(path)


def _property_names(num_rest: int) -> list[str]:
    """Columns of the file in order; `num_rest` SH coefficients beyond the plain colour."""
    rest = [f"f_rest_{i}" for i in range(num_rest)]
    first, last = "x y z nx ny nz f_dc_0 f_dc_1 f_dc_2", "scale_0 scale_1 scale_2"
    return [*first.split(), *rest, "opacity", *last.split(), *(f"rot_{i}" for i in range(4))]


def save_ply(gaussians: Gaussians, path: str | os.PathLike) -> None:
    """Write `gaussians` as the standard 3DGS PLY file; their order is kept.

    The file holds what the first optimisers trained: logits of opacities, logarithms of scales,
    quaternions (w, x, y, z), and SH coefficients channel by channel. Opacities are clamped to
    [1e-4, 1 - 1e-4] and scales to at least 1e-9 m, so that logit and logarithm stay finite.

    Source: the layout of Kerbl et al. 2023, as in gsplat's exporter.
    """
    from plyfile import PlyData, PlyElement

    g = gaussians.detach().to("cpu")
    n, k = len(g), g.sh.shape[1]
    # (N,K-1,3) -> (N,3,K-1) -> one row: first all coefficients of red, then of green, then of blue
    rest = g.sh[:, 1:].mT.reshape(n, 3 * (k - 1))
    columns = torch.cat(
        [
            g.means,
            torch.zeros(n, 3),  # normals: in the layout, but unused
            g.sh[:, 0],
            rest,
            torch.logit(g.opacities.clamp(1e-4, 1 - 1e-4))[:, None],
            g.scales.clamp_min(1e-9).log(),
            g.quats,
        ],
        dim=1,
    )
    names = _property_names(rest.shape[1])
    table = np.empty(n, dtype=[(name, "<f4") for name in names])
    for i, name in enumerate(names):
        table[name] = columns[:, i].numpy()
    with atomic_path(path) as tmp:
        PlyData([PlyElement.describe(table, "vertex")], byte_order="<").write(str(tmp))


def load_ply(path: str | os.PathLike) -> Gaussians:
    """Read a 3DGS PLY file into physical values, the inverse of `save_ply`.

    Infinite logarithms and logits are values, too: a scale of -Inf is flat (1e-9 m here), an
    opacity of +Inf opaque. Files of 2D Gaussians have no `scale_2`: they are flat, too. A
    quaternion of zeros is no rotation; it passes only where all scales are equal, so that no
    rotation makes a difference.

    Raises:
        MissingFileError: there is no such file.
        InputError: not a PLY file, no Gaussians inside, or values that no Gaussian can have; the
            message names the property.
    """
    columns = read_ply_columns(path)
    num_rest = sum(name.startswith("f_rest_") for name in columns)
    needed = [n for n in _property_names(num_rest) if n not in ("nx", "ny", "nz")]
    if "scale_1" in columns and "scale_2" not in columns:
        columns["scale_2"] = np.full_like(columns["scale_1"], -np.inf, np.float32)
    missing = [n for n in needed if n not in columns]
    if missing or num_rest not in (0, 9, 24, 45):  # 3 ((degree + 1)^2 - 1) for degrees 0 to 3
        packed = "packed_position" in columns
        fail(
            f"{path}",
            got=f"a PLY without {missing[:4]}" if missing else f"{num_rest} f_rest values",
            wanted="the 3DGS properties x y z f_dc_* opacity scale_* rot_*",
            fix="It is compressed: export it uncompressed."
            if packed
            else "A mesh or point-cloud PLY holds no Gaussians; export the splats.",
        )
    with np.errstate(over="ignore"):  # what is too large for float32 is Inf and told below
        table = np.stack([np.asarray(columns[name], np.float32) for name in needed], axis=1)
    n = len(table)
    if n == 0:
        fail(f"{path}", got="no Gaussians", wanted="one or more", fix="Export it again.")
    _check_columns(path, needed, table)
    # columns: means 0-2, plain colour 3-5, rest of the SH, then opacity, scales and quaternion
    means, base, rest, opacity, scales, quats = (
        torch.from_numpy(part)
        for part in np.split(table, np.cumsum([3, 3, num_rest, 1, 3]), axis=1)
    )
    quats = quats.double()  # squares of large and small float32 would be Inf and 0
    lengths = quats.norm(dim=1, keepdim=True)
    identity = torch.tensor([1.0, 0, 0, 0], dtype=torch.float64)
    rest = rest.reshape(n, 3, num_rest // 3).mT
    return Gaussians(
        means=means,
        quats=torch.where(lengths > 0, quats / lengths, identity).float(),
        scales=scales.exp().clamp_min(1e-9),
        opacities=opacity[:, 0].sigmoid(),
        sh=torch.cat([base[:, None], rest], dim=1),
    )


def _check_columns(path: str | os.PathLike, names: list[str], table: np.ndarray) -> None:
    """Refuse values that no Gaussian can have; the message names the property and the row."""
    for name, values in zip(names, table.T, strict=True):
        fine = np.isfinite(values)
        if name.startswith("scale"):
            fine = values < 88.0  # of which e^88 is still a float32; -Inf is flat
        elif name == "opacity":
            fine = ~np.isnan(values)
        if not fine.all():
            row = int((~fine).argmax())
            got = f"{name} = {values[row]:.4g} in row {row}, {(~fine).sum()} such rows"
            fail(f"{path}", got=got, wanted="finite Gaussians", fix="Export it again.")
    scales, quats = table[:, -7:-4], table[:, -4:]
    zero = ~quats.any(axis=1) & (scales != scales[:, :1]).any(axis=1)
    if zero.any():
        got = f"rot_0 to rot_3 all 0 in {zero.sum()} rows, the first is {int(zero.argmax())}"
        fail(f"{path}", got=got, wanted="quaternions (w, x, y, z)", fix="Export it again.")
