"""Gaussians as pictures: one pixel each, exactly undone, and read from a set as a stream."""

from itertools import islice

import pytest
import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from toolkit.body.anchors import sample_anchors
from toolkit.body.npz import load_body
from toolkit.body.rig import Rig
from toolkit.dataset.bulk.folder import SetFolder
from toolkit.dataset.bulk.manifest import Manifest
from toolkit.dataset.pairs import stream_pairs
from toolkit.errors import InputError
from toolkit.generative.changes import CHANNELS, apply_changes, changes_between
from toolkit.generative.layout import PixelLayout, _assign
from toolkit.run.files import DATA_DIR

PEOPLE = SetFolder(DATA_DIR / "samples" / "people_32")


@pytest.fixture(scope="module")
def rig() -> Rig:
    body = load_body()
    return Rig.build(body, sample_anchors(body, num=10_000), torch.zeros(20))


@pytest.fixture(scope="module")
def layout(rig) -> PixelLayout:
    return PixelLayout.of(rig)


@pytest.fixture(scope="module")
def pairs(layout) -> list:
    return list(islice(stream_pairs(PEOPLE, layout), 2))


def test_what_is_written_is_read_back_to_the_bit(layout):
    values = torch.randn(10_000, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(layout.read(layout.write(values)), values)
    assert len(layout.pixels.unique(dim=0)) == 10_000 == int(layout.owned.sum())


def test_neighbours_in_the_picture_are_neighbours_on_the_body(rig, layout):
    points = rig.anchors_rest
    a, b = layout.neighbours().T
    apart = (points[a] - points[b]).norm(dim=1).mean()
    nearest = cKDTree(points.numpy()).query(points.numpy(), 5)[0][:, 1:].mean()
    assert len(a) > 10_000 and apart < 1.2 * nearest  # four nearest on the body: the least possible


def test_the_assignment_is_the_best_one():
    generator = torch.Generator().manual_seed(1)
    places = 3 + 4 * torch.rand(40, 2, generator=generator).double().numpy()
    grid = torch.cartesian_prod(torch.arange(10), torch.arange(10)).numpy()
    chosen = _assign(places, grid)
    costs = cdist(places, grid, "sqeuclidean")
    rows, columns = linear_sum_assignment(costs)
    assert len(set(chosen.tolist())) == 40
    assert costs[range(40), chosen].sum() == pytest.approx(costs[rows, columns].sum())


def test_changes_are_undone(pairs):
    for pair in pairs:
        changes = changes_between(pair.coarse, pair.refined)
        again = apply_changes(pair.coarse, changes)
        for name in ("means", "scales", "opacities", "colors"):
            assert torch.allclose(getattr(again, name), getattr(pair.refined, name), atol=1e-6)
        same = (again.quats * pair.refined.quats).sum(1).abs()  # q and -q are one rotation
        assert same.min() > 1 - 1e-4


def test_no_change_is_zero_and_any_change_is_valid(pairs):
    coarse = pairs[0].coarse
    assert changes_between(coarse, coarse).abs().max() < 1e-4
    seeded = torch.Generator().manual_seed(2)
    wild = apply_changes(
        coarse, 100 * torch.randn(len(coarse), CHANNELS, generator=seeded).clamp(-1, 1)
    )
    assert all(t.isfinite().all() for t in (wild.means, wild.quats, wild.scales, wild.sh))
    assert torch.allclose(wild.quats.norm(dim=1), torch.ones(len(wild)), atol=1e-5)


def test_the_maps_of_a_pair_give_back_the_refined_avatar(pairs, layout):
    pair = pairs[0]
    again = apply_changes(pair.coarse, layout.read(pair.change_map))
    assert torch.allclose(again.colors, pair.refined.colors, atol=1e-6)
    assert torch.equal(layout.read(pair.coarse_map), pair.coarse.colors)
    assert pair.photo.shape == (320, 320, 3) and pair.attributes["gender"]


def test_the_stream_is_in_the_order_of_the_set(pairs):
    first = Manifest.load(PEOPLE).shards[0]
    assert [pair.name for pair in pairs] == list(first.samples)[:2]


def test_a_layout_of_other_anchors_is_refused(rig, layout):
    few = PixelLayout(layout.pixels[:100], layout.owners, layout.owned)
    with pytest.raises(InputError, match="10000 Gaussians"):
        next(stream_pairs(PEOPLE, few))
