"""The PLY file: what is written comes back, the layout is the field's, and bad files say so."""

import io

import numpy as np
import pytest
import torch
from gsplat import exporter
from plyfile import PlyData, PlyElement

from toolkit.errors import InputError, MissingFileError
from toolkit.gaussians import SH_C0, Gaussians


def random_gaussians(num: int = 64, num_bases: int = 4, seed: int = 0) -> Gaussians:
    rng = torch.Generator().manual_seed(seed)
    quats = torch.nn.functional.normalize(torch.randn(num, 4, generator=rng), dim=-1)
    return Gaussians(
        means=torch.randn(num, 3, generator=rng),
        quats=quats,
        scales=torch.rand(num, 3, generator=rng) * 0.05 + 1e-4,
        opacities=torch.rand(num, generator=rng) * 0.98 + 0.01,
        sh=torch.randn(num, num_bases, 3, generator=rng),
    )


def write_table(path, columns: dict[str, np.ndarray], text: bool = False) -> None:
    n = len(next(iter(columns.values())))
    table = np.empty(n, dtype=[(name, "<f4") for name in columns])
    for name, values in columns.items():
        table[name] = values
    PlyData([PlyElement.describe(table, "vertex")], text=text).write(str(path))


def columns_of(path_or_bytes) -> dict[str, np.ndarray]:
    source = io.BytesIO(path_or_bytes) if isinstance(path_or_bytes, bytes) else str(path_or_bytes)
    vertex = PlyData.read(source)["vertex"]
    return {p.name: np.asarray(vertex[p.name]) for p in vertex.properties}


@pytest.mark.parametrize("num_bases", [1, 4, 9, 16])
def test_ply_round_trip(tmp_path, num_bases):
    before = random_gaussians(num_bases=num_bases)
    before.save_ply(tmp_path / "a.ply")
    after = Gaussians.load_ply(tmp_path / "a.ply")
    for name in ("means", "sh"):  # stored as they are: not one bit may change
        assert torch.equal(getattr(after, name), getattr(before, name)), name
    for name in ("quats", "scales", "opacities"):  # log, logit and norm round in float32
        torch.testing.assert_close(
            getattr(after, name), getattr(before, name), rtol=1e-6, atol=3e-7
        )


@pytest.mark.parametrize("num_bases", [1, 4, 16])
def test_columns_and_order_are_gsplats(tmp_path, num_bases):
    g = random_gaussians(num_bases=num_bases)
    g.save_ply(tmp_path / "ours.ply")
    theirs = exporter.splat2ply_bytes(
        g.means,
        g.scales.log(),
        g.quats,
        torch.logit(g.opacities),
        g.sh[:, 0],
        g.sh[:, 1:].permute(0, 2, 1).reshape(len(g), -1),
    )
    ours, theirs = columns_of(tmp_path / "ours.ply"), columns_of(theirs)
    assert [n for n in ours if n not in ("nx", "ny", "nz")] == list(theirs)
    for name, values in theirs.items():
        np.testing.assert_array_equal(ours[name], values, err_msg=name)


def test_reads_gsplats_file_without_normals(tmp_path):
    g = random_gaussians(num_bases=16)
    data = exporter.splat2ply_bytes(
        g.means,
        g.scales.log(),
        g.quats,
        torch.logit(g.opacities),
        g.sh[:, 0],
        g.sh[:, 1:].permute(0, 2, 1).reshape(len(g), -1),
    )
    (tmp_path / "gsplat.ply").write_bytes(data)
    after = Gaussians.load_ply(tmp_path / "gsplat.ply")
    torch.testing.assert_close(after.sh, g.sh, rtol=0, atol=0)
    torch.testing.assert_close(after.opacities, g.opacities, rtol=1e-6, atol=3e-7)


@pytest.mark.parametrize("text", [False, True])
def test_reads_columns_in_any_order_and_unnormalised_quaternions(tmp_path, text):
    g = random_gaussians(num_bases=1)
    g.save_ply(tmp_path / "ours.ply")
    columns = columns_of(tmp_path / "ours.ply")
    shuffled = {n: columns[n] for n in sorted(columns, reverse=True) if not n.startswith("n")}
    for i in range(4):
        shuffled[f"rot_{i}"] = shuffled[f"rot_{i}"] * 3
    write_table(tmp_path / "other.ply", shuffled, text=text)
    after = Gaussians.load_ply(tmp_path / "other.ply")
    torch.testing.assert_close(after.means, g.means, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(after.quats, g.quats, rtol=1e-5, atol=1e-6)


def test_first_basis_is_the_plain_colour():
    colors = torch.rand(8, 3)
    g = Gaussians.from_colors(
        torch.zeros(8, 3),
        torch.tensor([[1.0, 0, 0, 0]]).repeat(8, 1),
        torch.ones(8, 3),
        torch.ones(8),
        colors,
    )
    torch.testing.assert_close(g.colors, colors)
    torch.testing.assert_close(g.sh[:, 0] * SH_C0 + 0.5, colors)
    assert g.sh_degree == 0


def test_extreme_values_stay_finite(tmp_path):
    g = random_gaussians(num=2)
    g = g.replace(opacities=torch.tensor([0.0, 1.0]), scales=torch.zeros(2, 3))
    g.save_ply(tmp_path / "a.ply")
    after = Gaussians.load_ply(tmp_path / "a.ply")
    assert after.opacities[0] < 1e-3 and after.opacities[1] > 1 - 1e-3 and (after.scales > 0).all()


def mesh_ply(path):
    write_table(path, {"x": np.zeros(3), "y": np.zeros(3), "z": np.zeros(3)})


def empty_ply(path):
    random_gaussians(num=4).save_ply(path)
    write_table(path, {name: values[:0] for name, values in columns_of(path).items()})


def nan_ply(path):
    g = random_gaussians(num=4)
    g.replace(means=torch.full((4, 3), torch.nan)).save_ply(path)


def odd_sh_ply(path):
    random_gaussians(num=4).save_ply(path)
    write_table(path, {n: v for n, v in columns_of(path).items() if n != "f_rest_8"})


def truncated_ply(path):
    random_gaussians(num=64).save_ply(path)
    path.write_bytes(path.read_bytes()[:-100])


def text_file(path):
    path.write_text("hello")


BAD_FILES = [mesh_ply, empty_ply, nan_ply, odd_sh_ply, truncated_ply, text_file]


@pytest.mark.parametrize("make", BAD_FILES)
def test_bad_file_gives_one_clear_error(tmp_path, make):
    path = tmp_path / "bad.ply"
    make(path)
    with pytest.raises(InputError, match="bad.ply: got .*, wanted ") as caught:
        Gaussians.load_ply(path)
    assert "\n" not in str(caught.value)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(MissingFileError, match="none.ply"):
        Gaussians.load_ply(tmp_path / "none.ply")


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.ply"
    random_gaussians(seed=0).save_ply(path)
    old = path.read_bytes()

    def half_write(self, stream):
        with open(stream, "wb") as file:
            file.write(b"ply\n")
        raise OSError("disk full")

    monkeypatch.setattr(PlyData, "write", half_write)
    with pytest.raises(OSError, match="disk full"):
        random_gaussians(seed=1).save_ply(path)
    assert path.read_bytes() == old and [p.name for p in tmp_path.iterdir()] == ["a.ply"]


@pytest.mark.parametrize(
    "field, value",
    [
        ("means", torch.zeros(5, 3)),
        ("quats", torch.zeros(64, 3)),
        ("opacities", torch.zeros(64, 1)),
        ("sh", torch.zeros(64, 5, 3)),
        ("sh", torch.zeros(64, 3)),
    ],
)
def test_wrong_shapes_are_refused(field, value):
    with pytest.raises(Exception, match="(?i)gaussians"):  # ours, or beartype's when it is on
        random_gaussians().replace(**{field: value})
