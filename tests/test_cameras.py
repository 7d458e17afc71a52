"""Cameras: axes as documented, targets in the centre, round trips."""

import pytest
import torch

from toolkit.cameras import Cameras, intrinsics, look_at, orbit_cameras
from toolkit.errors import InputError

AZIMUTHS = torch.arange(0, 360, 30.0)


def orbit(**changes) -> Cameras:
    settings = {"elevations_deg": 10.0, "radius_m": 3.0, "target": (0.1, 0.9, -0.2)} | changes
    elevations = settings.pop("elevations_deg")
    return orbit_cameras(AZIMUTHS, elevations, **settings)


@pytest.mark.parametrize("elevation", [-30.0, 0.0, 45.0])
def test_every_orbit_camera_looks_at_the_target(elevation):
    cameras = orbit(elevations_deg=elevation)
    pixels, depths = cameras.project(torch.tensor([[0.1, 0.9, -0.2]]))
    centre = torch.tensor([cameras.width / 2, cameras.height / 2])
    torch.testing.assert_close(pixels[:, 0], centre.expand(len(cameras), 2), rtol=0, atol=1e-3)
    torch.testing.assert_close(depths[:, 0], torch.full((len(cameras),), 3.0))


def test_view_matrices_are_rigid():
    rotation = orbit().viewmats[:, :3, :3]
    torch.testing.assert_close(
        rotation @ rotation.mT, torch.eye(3).expand(len(rotation), 3, 3), rtol=0, atol=1e-6
    )
    torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(len(rotation)))


@pytest.mark.parametrize(
    "azimuth, centre, world_right",
    [
        (0.0, (0, 0, 2), (1, 0, 0)),  # sees the face; the left hand (+x) is right in the picture
        (90.0, (2, 0, 0), (0, 0, -1)),
        (180.0, (0, 0, -2), (-1, 0, 0)),
    ],
)
def test_azimuth_convention(azimuth, centre, world_right):
    camera = orbit_cameras([azimuth], 0.0, radius_m=2.0)
    torch.testing.assert_close(
        camera.centers[0], torch.tensor(centre, dtype=torch.float32), rtol=0, atol=1e-5
    )
    torch.testing.assert_close(
        camera.viewmats[0, 0, :3], torch.tensor(world_right, dtype=torch.float32), rtol=0, atol=1e-5
    )


def test_up_is_up_in_the_picture_and_down_in_the_camera():
    pixels, _ = orbit_cameras([0.0], 0.0, radius_m=2.0).project(torch.tensor([[0.0, 0.3, 0.0]]))
    assert pixels[0, 0, 1] < 96  # rows count downwards; the target is at row 96 of 192


def test_known_point_lands_where_the_pinhole_says():
    camera = Cameras(
        torch.eye(4)[None], torch.tensor([[[100.0, 0, 32], [0, 50.0, 24], [0, 0, 1]]]), 64, 48
    )
    pixels, depth = camera.project(torch.tensor([[0.2, -0.4, 2.0]]))
    torch.testing.assert_close(pixels[0, 0], torch.tensor([42.0, 14.0]))
    torch.testing.assert_close(depth[0, 0], torch.tensor(2.0))


def test_field_of_view_spans_the_picture():
    camera = orbit_cameras([0.0], 0.0, radius_m=1.0, fov_y_deg=90.0, size=(80, 40))
    pixels, _ = camera.project(torch.tensor([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]]))
    torch.testing.assert_close(pixels[0, :, 1], torch.tensor([0.0, 80.0]), rtol=0, atol=1e-4)


def test_centers_round_trip():
    eyes = torch.randn(7, 3, generator=torch.Generator().manual_seed(0)) * 2
    viewmats = look_at(eyes, torch.zeros(7, 3))
    cameras = Cameras(viewmats, intrinsics(30.0, 8, 8, num=7), 8, 8)
    torch.testing.assert_close(cameras.centers, eyes, rtol=0, atol=1e-5)


def test_resized_moves_pixels_with_the_picture():
    cameras = orbit()
    points = torch.randn(20, 3, generator=torch.Generator().manual_seed(1)) * 0.3
    small, depth_small = cameras.project(points)
    large, depth_large = cameras.resized(cameras.width * 3, cameras.height * 2).project(points)
    torch.testing.assert_close(large, small * torch.tensor([3.0, 2.0]), rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(depth_large, depth_small)


@pytest.mark.parametrize("index", [0, -1, 5])
def test_integer_index_keeps_the_camera_axis(index):
    cameras = orbit()
    assert torch.equal(cameras[index].viewmats, cameras.viewmats[index][None])
    assert len(cameras[2:4]) == 2


def test_projection_has_a_gradient():
    points = torch.tensor([[0.1, 0.2, 0.0]], requires_grad=True)
    orbit().project(points)[0].sum().backward()
    assert torch.isfinite(points.grad).all() and points.grad.abs().sum() > 0


def test_wrong_shapes_are_refused():
    with pytest.raises((InputError, TypeError)):
        Cameras(torch.eye(4), torch.eye(3), 8, 8)
    with pytest.raises((InputError, TypeError)):
        Cameras(torch.eye(4).repeat(2, 1, 1), torch.eye(3)[None], 8, 8)
