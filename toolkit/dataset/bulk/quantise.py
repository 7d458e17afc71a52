"""Gaussians as small integers: `gaussians.npz` in a shard, readable with numpy alone.

Every attribute is a whole number of steps, stored as the difference from the Gaussian before it.
Neighbours on the body mostly follow each other, so these differences are small and compress well.
With `z = numpy.load("gaussians.npz")`,

    values = numpy.cumsum(z["coarse_means"], axis=1, dtype=int)   # (3, N)
    coarse = values.T * z["step_means"]                           # metres
    refined = (values + z["change_means"]).T * z["step_means"]

The same for "scales" (logarithms of metres), "quats" (x, y, z of the unit quaternion with w >= 0),
"opacities" and "colors" (RGB; a little beyond 0..1 in places). One to one: Gaussian i is i in both.
"""

import io
import zipfile
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from toolkit.errors import fail, reading
from toolkit.gaussians import Gaussians
from toolkit.run.npz_file import read_npz

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Steps:
    """Size of a step of each attribute; the largest error is half of it.

    Attributes:
        means: metres.
        scales: of the logarithm.
        quats: of x, y and z.
        opacities, colors: of a value in [0, 1].
    """

    means: float = 2.5e-4
    scales: float = 0.06
    quats: float = 1 / 64
    opacities: float = 1 / 255
    colors: float = 1 / 255


MIN_DB = 45.0  # PSNR of renders before and after storing: a loss that nobody sees
STEPS = {
    "fine": Steps(),
    "medium": Steps(3e-4, 0.08, 1 / 48, 1 / 255, 1 / 192),
    "coarse": Steps(4e-4, 0.1, 1 / 32, 1 / 128, 1 / 128),
}


def encode(coarse: Gaussians, refined: Gaussians, steps: Steps) -> bytes:
    """Both avatars as one npz file, in the T-pose; the same Gaussians give the same bytes.

    Args:
        coarse: with plain colours (degree 0).
        refined: the same Gaussians, moved.
        steps: how fine.

    Raises:
        InputError: other numbers of Gaussians, or colours that depend on the view.
    """
    if len(coarse) != len(refined) or coarse.sh_degree or refined.sh_degree:
        fail(
            "Gaussians of a sample",
            got=f"{len(coarse)} of degree {coarse.sh_degree}, "
            f"{len(refined)} of degree {refined.sh_degree}",
            wanted="two sets of one number and of degree 0",
            fix="View-dependent colours are not stored.",
        )
    first, second = _to_steps(coarse, steps), _to_steps(refined, steps)
    arrays: Arrays = {}
    for name, values in first.items():
        arrays[f"coarse_{name}"] = _short(np.diff(values, axis=1, prepend=0))
        arrays[f"change_{name}"] = _short(second[name] - values)
        arrays[f"step_{name}"] = np.float64(getattr(steps, name))
    return _npz(arrays)


def decode(data: bytes) -> tuple[Gaussians, Gaussians]:
    """Coarse and refined Gaussians from `encode`'s bytes.

    Raises:
        InputError: something else, or a damaged file.
    """
    file, fix = "gaussians.npz", "Verify the set."
    with reading(file, wanted="what `encode` wrote", fix=fix):
        arrays = read_npz(io.BytesIO(data), wanted="small integers", fix=fix, name=file)
        names = [name.removeprefix("step_") for name in arrays if name.startswith("step_")]
        sets = []
        for changed in (0, 1):
            values = {
                name: (
                    np.cumsum(arrays[f"coarse_{name}"], axis=1, dtype=np.int64)
                    + changed * arrays[f"change_{name}"]
                ).T
                * arrays[f"step_{name}"]
                for name in names
            }
            sets.append(_from_values(values))
        return sets[0], sets[1]


def _to_steps(gaussians: Gaussians, steps: Steps) -> dict[str, Int[np.ndarray, "K N"]]:
    """Every attribute in whole steps, one row per coordinate."""
    g = gaussians.detach().to("cpu")
    values = {
        "means": g.means,
        "scales": g.scales.clamp_min(1e-6).log(),
        # q and -q are the same rotation: with w >= 0, x, y and z are enough
        "quats": g.quats[:, 1:] * torch.where(g.quats[:, :1] < 0, -1, 1),
        "opacities": g.opacities[:, None],
        "colors": g.colors,
    }
    return {
        name: np.rint(v.double().numpy().T / getattr(steps, name)).astype(np.int64)
        for name, v in values.items()
    }


def _from_values(values: dict[str, Float[np.ndarray, "N K"]]) -> Gaussians:
    v = {name: torch.from_numpy(value).float() for name, value in values.items()}
    w = (1 - v["quats"].square().sum(1, keepdim=True)).clamp_min(0).sqrt()
    quats = torch.nn.functional.normalize(torch.cat([w, v["quats"]], 1), dim=1)
    opacities = v["opacities"][:, 0].clamp(0, 1)
    return Gaussians.from_colors(v["means"], quats, v["scales"].exp(), opacities, v["colors"])


def _short(values: Int[np.ndarray, "K N"]) -> Int[np.ndarray, "K N"]:
    """The same numbers in 16 bits, in every sample: some readers want one type in all of them.

    Most would fit into 8 bits; the compression sees to it that they take no more.
    """
    limit = np.iinfo(np.int16).max
    if (largest := int(np.abs(values).max(initial=0))) > limit:
        fail(
            "Gaussians of a sample",
            got=f"a value of {largest} steps",
            wanted=f"at most {limit}",
            fix="A Gaussian flew away in the refit: look at the avatar.",
        )
    return values.astype(np.int16)


def _npz(arrays: Arrays) -> bytes:
    """An npz file without dates; LZMA, which numpy reads, is a tenth smaller than deflate here."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as file:
        for name, array in arrays.items():
            entry = io.BytesIO()
            np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy")  # dated 1980
            info.compress_type = zipfile.ZIP_LZMA
            file.writestr(info, entry.getvalue())
    return buffer.getvalue()
