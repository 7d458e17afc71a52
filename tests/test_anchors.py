"""Anchors: even, on the surface, with the right share on the head, and following the shape."""

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from toolkit.body.anchors import sample_anchors
from toolkit.body.npz import load_body
from toolkit.errors import InputError


@pytest.fixture(scope="module")
def body():
    return load_body()


def test_same_seed_same_anchors(body):
    first, again, other = (sample_anchors(body, num=500, seed=s) for s in (0, 0, 1))
    assert torch.equal(first.points, again.points) and not torch.equal(first.points, other.points)


@pytest.mark.parametrize("num", [777, 10_000])
def test_number_and_head_share(body, num):
    anchors = sample_anchors(body, num=num, head_share=0.25)
    assert len(anchors) == num
    assert abs(float(anchors.is_head.float().mean()) - 0.25) < 0.02


def test_uniform_by_area_off_the_head(body):
    anchors = sample_anchors(body, num=20_000)
    corners = body.v_template[body.faces_body]
    cross = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = cross.norm(dim=1) / 2
    count = torch.bincount(anchors.faces, minlength=len(area)).float()
    middle = corners.mean(1)
    low, left = middle[:, 1] < 0, middle[:, 0] > 0  # hips to feet
    bands = (middle[:, 1] / 0.1).floor()  # slices of 10 cm
    parts = [low & left, low & ~left, *(low & (bands == b) for b in bands[low].unique())]
    density = torch.stack([count[part].sum() / area[part].sum() for part in parts])
    assert (density / density[0] - 1).abs().max() < 0.04


def test_spacing_is_even(body):
    """The nearest neighbours of independent draws are often close to nothing."""
    points = sample_anchors(body, num=20_000).points[5000:].numpy()
    nearest = cKDTree(points).query(points, k=2)[0][:, 1]
    low, middle = np.quantile(nearest, [0.01, 0.5])
    even = np.sqrt(2 / np.sqrt(3) * 1.4 / len(points))  # hexagons on about 1.4 m^2 off the head
    assert low > 0.5 * middle and middle > 0.65 * even


def test_points_lie_in_their_triangles(body):
    anchors = sample_anchors(body, num=1000)
    assert torch.allclose(anchors.bary.sum(1), torch.ones(1000)) and anchors.bary.min() >= 0
    corners = body.v_template[body.faces_body[anchors.faces]]
    assert torch.allclose((anchors.bary[..., None] * corners).sum(1), anchors.points, atol=1e-6)
    assert torch.allclose(anchors.normals.norm(dim=1), torch.ones(1000), atol=1e-5)
    inside = ((corners - anchors.points[:, None]) * anchors.normals[:, None]).sum(-1).abs().max()
    assert inside < 1e-5


def test_normals_point_outward(body):
    anchors = sample_anchors(body, num=5000)
    torso = anchors.lbs_weights[:, [0, 3, 6]].sum(1) > 0.9
    outward = (anchors.normals[torso] * (anchors.points[torso] * torch.tensor([1.0, 0, 1]))).sum(1)
    assert (outward > 0).float().mean() > 0.95


def test_shape_moves_anchors_with_their_triangle(body):
    anchors = sample_anchors(body, num=1000)
    betas = torch.linspace(-2, 2, body.num_betas)
    corners = body.shaped(betas)[body.faces_body[anchors.faces]]
    assert torch.allclose(
        (anchors.bary[..., None] * corners).sum(1), anchors.shaped(betas), atol=1e-5
    )
    assert torch.allclose(anchors.lbs_weights.sum(1), torch.ones(1000), atol=1e-6)


@pytest.mark.parametrize(
    "options", [{"num": 10}, {"num": 10**7}, {"head_share": 0.0}, {"head_share": 1.5}]
)
def test_bad_numbers(body, options):
    with pytest.raises(InputError, match="sample_anchors"):
        sample_anchors(body, **options)


def test_nan_betas(body):
    with pytest.raises(InputError, match="betas"):
        sample_anchors(body, num=200).shaped(torch.full((20,), torch.nan))
