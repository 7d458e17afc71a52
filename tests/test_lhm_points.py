"""LHM's query points, drawn again from what a checkpoint knows of them."""

import shlex
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.spatial import cKDTree

from toolkit.body.npz import load_body
from toolkit.cli import main
from toolkit.coarse.lhm.checkpoint import load_folder
from toolkit.coarse.lhm.points import (
    KEYS,
    LAYER,
    SKIN,
    are_computed,
    compute_points,
    draw_points,
    nearest_vertices,
    read_points,
)
from toolkit.coarse.lhm.tiny import write_tiny
from toolkit.errors import InputError
from toolkit.weights.commands import fetch_command
from toolkit.weights.table import WEIGHTS

FIXTURE = Path(__file__).parent / "fixtures" / "lhm_golden.safetensors"


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def folder(body, tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp("tiny"), body, num_points=8000)


@pytest.fixture(scope="module")
def state(folder):
    return load_file(folder / "model.safetensors")


@pytest.fixture(scope="module")
def drawn(state):
    return draw_points(state)


def test_the_references_own_checkpoint_tells_the_vertex_of_every_point():
    """Golden: state and points of the public code; its rule is the nearest vertex."""
    golden = load_file(FIXTURE)
    template = golden[f"state/{LAYER}v_template"].numpy()
    nearest = cKDTree(template).query(golden["input/dense_pts"].numpy())[1]
    rows, vertex_rows = (golden[f"state/{k}"] for k in (f"{SKIN}shape_dirs", f"{LAYER}shapedirs"))
    assert np.array_equal(nearest_vertices(rows, vertex_rows), nearest)


def test_points_lie_on_the_surface_in_their_vertexs_cell(drawn, body, folder):
    true = read_points(folder / "1_8000.ply")
    on_skin = body.faces.unique()
    tree = cKDTree(body.v_template[on_skin].numpy())
    near, theirs = (on_skin[tree.query(p.numpy())[1]] for p in (drawn.points, true))
    assert torch.equal(drawn.vertices, theirs)
    assert (near == theirs).float().mean() > 0.999  # float32 moves a point over a border
    assert drawn.at_vertex.float().mean() < 0.01
    # in no triangle's plane further than rounding: distance to the nearest of those around it
    for index in range(0, 8000, 400):
        around = body.faces[(body.faces == drawn.vertices[index]).any(1)].long()
        a, b, c = body.v_template[around].unbind(1)
        normal = torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=1)
        assert ((drawn.points[index] - a) * normal).sum(1).abs().min() < 1e-6


def test_points_spread_over_cells_as_the_true_ones_do(drawn, body, folder):
    """Not the lost points, but draws like them: as far from the vertex, not heaped on it."""
    true, vertex = read_points(folder / "1_8000.ply"), body.v_template[drawn.vertices]
    theirs, ours = ((p - vertex).norm(dim=1) for p in (true, drawn.points))
    apart = (true - drawn.points).norm(dim=1)
    mean_mm = [f"{1e3 * distance.mean():.1f}" for distance in (apart, theirs)]
    print("\nmm to the true point: {}, from that to its vertex: {}".format(*mean_mm))
    assert 0.8 < ours.mean() / theirs.mean() < 1.3
    assert 0 < apart.mean() < 2 * theirs.mean()


def test_body_and_head_keep_to_their_triangles(state, drawn, body):
    """As upstream: triangles of the body have no vertex of the head, and the other way round."""
    is_face = state[f"{SKIN}is_face"].bool()
    assert is_face[6000:].float().mean() > 0.9 and is_face[:6000].float().mean() < 0.05
    height = body.v_template[:, 1].max()
    assert (drawn.points[6000:, 1] > height - 0.45).all()


def test_a_seed_gives_its_points_again(state, drawn):
    assert torch.equal(draw_points(state).points, drawn.points)
    other = draw_points(state, seed=1)
    assert torch.equal(other.vertices, drawn.vertices)
    assert (other.points - drawn.points).norm(dim=1).median() > 1e-3


def test_a_computed_file_is_marked_and_the_reconstruction_says_so(folder, tmp_path):
    path = tmp_path / "1_8000.ply"
    drawn = compute_points(folder / "model.safetensors", path)
    assert torch.equal(read_points(path), drawn.points)
    assert are_computed(path) and not are_computed(folder / "1_8000.ply")
    assert load_folder(folder, points=tmp_path).points_computed
    assert not load_folder(folder).points_computed


@pytest.mark.parametrize("key", KEYS)
def test_a_checkpoint_without_its_body_is_named(state, key):
    with pytest.raises(InputError, match=key.replace(".", r"\.")):
        draw_points({k: v for k, v in state.items() if k != key})


def test_rows_that_are_no_copies_are_refused(state):
    rows = state[f"{SKIN}shape_dirs"].clone()
    rows[7] += 1e-6
    with pytest.raises(InputError, match="1 of 8000 points"):
        nearest_vertices(rows, state[f"{LAYER}shapedirs"])


def test_command_writes_a_marked_file_and_says_so(folder, tmp_path, capsys, monkeypatch):
    path = tmp_path / "points" / "1_8000.ply"
    assert main(["lhm-points", str(path), "--lhm", str(folder)]) == 0
    assert "not the release's" in capsys.readouterr().err
    assert are_computed(path)
    monkeypatch.setenv("TOOLKIT_WEIGHTS", str(tmp_path / "none"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "none"))
    assert main(["lhm-points", str(tmp_path / "1_40000.ply")]) == 2
    assert "hf download" in capsys.readouterr().err and not list(tmp_path.glob("1_40000*"))
    assert main(["lhm-points", str(tmp_path / "1_7.ply"), "--lhm", str(folder)]) == 2
    assert "8000" in capsys.readouterr().err


def archive(path):
    """A tar with the points in its middle."""
    (path.parent / "dense").mkdir()
    for name, size in (("dense/a", 10_000), ("dense/1_40000.ply", 500), ("dense/z", 300_000)):
        (path.parent / name).write_bytes(b"x" * size)
    with tarfile.open(path, "w") as tar:
        for name in ("a", "1_40000.ply", "z"):
            tar.add(path.parent / "dense" / name, f"model/dense/{name}")


def test_reading_the_archive_stops_after_the_one_file(tmp_path):
    """The pipe is never closed: a tar that reads on would wait for ever."""
    archive(tmp_path / "prior.tar")
    command = WEIGHTS["lhm-points-40k"].recipe.format(folder=tmp_path / "out", source="-")
    extract = command.split("|")[1].split("||")[0]
    (tmp_path / "out").mkdir()
    process = subprocess.Popen(shlex.split(extract), stdin=subprocess.PIPE)
    process.stdin.write((tmp_path / "prior.tar").read_bytes()[:40_000])
    process.stdin.flush()
    assert process.wait(timeout=20) == 0
    process.stdin.close()
    assert [p.name for p in (tmp_path / "out").rglob("*") if p.is_file()] == ["1_40000.ply"]


def test_a_refused_download_falls_back_to_the_marked_points():
    for name in ("lhm-points-20k", "lhm-points-40k"):
        tail = fetch_command(WEIGHTS[name]).split("||")[1].split()
        assert tail[:4] == ["python", "-m", "toolkit", "lhm-points"]
        assert tail[4].endswith(WEIGHTS[name].files[0].removeprefix("**/"))
