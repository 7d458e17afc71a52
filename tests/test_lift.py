"""The lifter treats left and right alike, ignores scale and place, and knows depth."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from toolkit.body.npz import load_body
from toolkit.errors import InputError, MissingFileError
from toolkit.people.pose import sample_pose
from toolkit.photo.detection.keypoint_names import MIRROR
from toolkit.photo.detection.keypoints import Detection
from toolkit.photo.smplify.energy import depth_term
from toolkit.photo.smplify.fit import fit_body
from toolkit.photo.smplify.lifter import (
    FLIP_POINT,
    FLIP_TURN,
    HIPS,
    MIRROR_JOINTS,
    Lifter,
    lift,
    load_lifter,
    save_lifter,
)
from toolkit.photo.smplify.optimise import STAGES
from toolkit.photo.smplify.pose_prior import pose_statistics
from toolkit.photo.smplify.reduced_body import ReducedBody

SIZE, FOCAL, DISTANCE_M = (400, 400), 700.0, 3.5


@pytest.fixture(scope="module")
def small():
    return ReducedBody.of(load_body())


def photographed(small, seed):
    """A detection of a random person with errors like the net's, its true points and pose."""
    rng = np.random.default_rng([seed, 99])
    pose = sample_pose(rng)
    betas = torch.from_numpy(rng.normal(0, 0.6, 20)).float()
    points, _, _ = small.posed(betas, pose[:22], surface=False)
    cam = points.numpy() * [1, -1, -1] + [0, 0, DISTANCE_M]
    pixels = cam[:, :2] / cam[:, 2:] * FOCAL + 200 + rng.normal(0, 2, (33, 2))
    world = (points - points[HIPS].mean(0)).numpy() * [1, 1, 0.7] + rng.normal(0, 0.02, (33, 3))
    world[:, 2] += 0.15 * world[:, 1]  # leans, as the net's answers do
    mask = np.zeros(SIZE, np.float32)
    low, high = pixels.min(0).astype(int).clip(0), pixels.max(0).astype(int)
    mask[low[1] : high[1], low[0] : high[0]] = 1
    keypoints = np.column_stack([pixels, np.ones(33)])
    detection = Detection(keypoints, world, mask, np.array([*low, *high], np.float64))
    return detection, points - points[HIPS].mean(0), pose[:22]


def true_px(points):
    """Depth before the hips, pixels at their distance (which is near enough the pelvis')."""
    return points[:, 2] * FOCAL / DISTANCE_M


def test_mirror_image_gives_the_mirror_answer(small):
    detection, _, _ = photographed(small, 0)
    flipped = replace(
        detection,
        keypoints=detection.keypoints[MIRROR] * [-1, 1, 1] + [400, 0, 0],
        world=detection.world[MIRROR] * [-1, 1, 1],
    )
    ours, other = lift(load_lifter(), detection), lift(load_lifter(), flipped)
    torch.testing.assert_close(
        other.points_px[MIRROR] * FLIP_POINT, ours.points_px, atol=1e-2, rtol=1e-4
    )
    torch.testing.assert_close(
        other.pose[MIRROR_JOINTS] * FLIP_TURN, ours.pose, atol=1e-4, rtol=1e-4
    )
    torch.testing.assert_close(other.spread_px[MIRROR], ours.spread_px, atol=1e-3, rtol=1e-3)


def test_place_and_size_in_the_picture_do_not_matter(small):
    detection, _, _ = photographed(small, 1)
    moved = replace(detection, keypoints=detection.keypoints * [3, 3, 1] + [50, -20, 0])
    ours, other = lift(load_lifter(), detection), lift(load_lifter(), moved)
    torch.testing.assert_close(other.points_px, 3 * ours.points_px, atol=2e-2, rtol=1e-3)
    torch.testing.assert_close(other.pose, ours.pose, atol=1e-4, rtol=1e-3)


def test_depth_is_better_than_flat_and_than_the_net(small):
    ours, flat, net = [], [], []
    for seed in range(24):
        detection, points, _ = photographed(small, seed)
        lifted, truth = lift(load_lifter(), detection), true_px(points)
        limbs = slice(11, 33)
        ours.append((lifted.points_px[:, 2] - truth)[limbs].abs().mean())
        flat.append(truth[limbs].abs().mean())
        world = torch.from_numpy(detection.world[:, 2]).float() * FOCAL / DISTANCE_M
        net.append((world - truth)[limbs].abs().mean())
    ours, flat, net = (float(torch.stack(v).mean()) for v in (ours, flat, net))
    assert ours < 0.8 * flat and ours < 0.8 * net


def test_pose_is_better_than_the_average_and_the_spread_is_honest(small):
    mean, _ = pose_statistics()
    ours, usual, inside = [], [], []
    for seed in range(24):
        detection, _, pose = photographed(small, seed)
        lifted = lift(load_lifter(), detection)
        off = (lifted.pose - pose)[1:].abs()
        ours.append(off.mean())
        usual.append((mean - pose)[1:].abs().mean())
        inside.append((off < 2 * lifted.pose_spread[1:]).float().mean())
    assert torch.stack(ours).mean() < 0.7 * torch.stack(usual).mean()
    assert torch.stack(inside).mean() > 0.75


def test_untrained_lifter_repeats_the_net(small, tmp_path):
    detection, _, _ = photographed(small, 2)
    lifted = lift(Lifter(), detection)
    world = torch.from_numpy(detection.world).float()
    world = world - world[HIPS].mean(0)
    scale = lifted.points_px.norm() / world.norm()
    torch.testing.assert_close(lifted.points_px, scale * world, atol=1e-2, rtol=1e-4)
    save_lifter(load_lifter(), tmp_path / "lift.safetensors", seed="0")
    again = lift(load_lifter(tmp_path / "lift.safetensors"), detection)
    assert torch.equal(again.pose, lift(load_lifter(), detection).pose)


def test_depth_term_counts_depth_alone_and_soon_no_more(small):
    lifted = lift(load_lifter(), photographed(small, 3)[0])
    z, spread = lifted.points_px[:, 2], lifted.spread_px[:, 2]
    assert depth_term(z, lifted) == 0
    assert float(depth_term(z + 0.01 * spread, lifted)) == pytest.approx(1e-4, rel=1e-2)
    assert float(depth_term(z + 1e4 * spread, lifted)) == pytest.approx(9, rel=1e-3)


def test_fit_is_nearer_in_depth_with_the_lifter(small):
    body, errors = load_body(), {True: [], False: []}
    for seed in (4, 5, 6):
        detection, points, _ = photographed(small, seed)
        for use, distances in errors.items():
            fitted = fit_body(detection, SIZE, body, stages=STAGES[:2], use_lifter=use)
            again = small.posed(fitted.betas, fitted.pose[:22], surface=False)[0]
            distances.append(float((again - again[HIPS].mean(0) - points)[11:, 2].abs().mean()))
    assert np.mean(errors[True]) < 0.7 * np.mean(errors[False])


def test_same_photo_gives_the_same_bits(small):
    detection, _, _ = photographed(small, 7)
    a, b = (fit_body(detection, SIZE, load_body(), stages=STAGES[:2]) for _ in range(2))
    assert torch.equal(a.pose, b.pose) and torch.equal(a.betas, b.betas)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: replace(d, keypoints=d.keypoints[:17]),
        lambda d: replace(d, world=np.full((33, 3), np.nan)),
        lambda d: replace(d, keypoints=np.zeros((33, 3))),
        lambda d: replace(d, world=np.zeros((33, 3))),
    ],
)
def test_bad_points_are_named(small, spoil):
    with pytest.raises(InputError, match="lift"):
        lift(load_lifter(), spoil(photographed(small, 0)[0]))


def test_missing_weights_name_their_command(monkeypatch, tmp_path):
    monkeypatch.setattr("toolkit.run.files.DATA_DIR", tmp_path)
    load_lifter.cache_clear()
    with pytest.raises(MissingFileError, match="tools.train.lift"):
        load_lifter()
