"""The z-buffer against projection, geometry and a brute-force reference."""

import numpy as np
import pytest
import torch

from toolkit.cameras import orbit_cameras
from toolkit.errors import InputError
from toolkit.render.mesh import project_vertices, rasterize_mesh


@pytest.fixture
def camera():
    return orbit_cameras([20.0], 10.0, radius_m=3.0, size=(64, 48))


@pytest.fixture
def soup():
    rng = np.random.default_rng(0)
    centers = rng.uniform(-0.4, 0.4, (60, 1, 3))
    vertices = (centers + rng.normal(0, 0.12, (60, 3, 3))).reshape(-1, 3)
    return vertices, np.arange(180).reshape(60, 3)


def interpolate(buffers, vertices, faces):
    return (vertices[faces[buffers.face_id]] * buffers.bary[..., None]).sum(-2)


def test_project_agrees_with_cameras(camera, soup):
    pixels, depth = camera.project(torch.from_numpy(soup[0]).float())
    ours = project_vertices(soup[0], camera)
    assert np.allclose(ours[:, :2], pixels[0], atol=1e-3)
    assert np.allclose(ours[:, 2], depth[0], atol=1e-5)


def test_interpolated_points_project_back_to_their_pixel(camera, soup):
    vertices, faces = soup
    buffers = rasterize_mesh(vertices, faces, camera)
    assert buffers.mask.mean() > 0.1
    rows, cols = np.nonzero(buffers.mask)
    seen = project_vertices(interpolate(buffers, vertices, faces)[rows, cols], camera)
    assert np.abs(seen[:, 0] - cols - 0.5).max() < 2e-3
    assert np.abs(seen[:, 1] - rows - 0.5).max() < 2e-3
    assert np.abs(seen[:, 2] - buffers.depth[rows, cols]).max() < 1e-4


def test_matches_a_ray_caster(camera, soup):
    vertices, faces = soup
    buffers = rasterize_mesh(vertices, faces, camera)
    inverse = np.linalg.inv(camera.Ks[0].double().numpy())
    cam = vertices @ camera.viewmats[0, :3, :3].double().numpy().T
    cam = (cam + camera.viewmats[0, :3, 3].double().numpy())[faces]
    wrong = 0
    for row in range(0, 64, 3):
        for col in range(0, 48, 3):
            ray = inverse @ [col + 0.5, row + 0.5, 1.0]
            weights = np.linalg.solve(cam.transpose(0, 2, 1), np.tile(ray, (60, 1))[..., None])
            inside = (weights > 0).all(axis=(1, 2))
            depth = np.where(inside, 1 / weights.sum(axis=(1, 2)), np.inf)
            wanted = depth.argmin() if inside.any() else -1
            wrong += wanted != buffers.face_id[row, col]
    assert wrong <= 2  # pixel centres on an edge


def test_nearer_face_wins_in_either_order(camera):
    quad = np.array([[-1, -1, 0], [1, -1, 0], [0, 1, 0.0]])
    vertices = np.concatenate([quad, quad + [0, 0, 0.3]])
    for faces in ([[0, 1, 2], [3, 4, 5]], [[3, 4, 5], [0, 1, 2]]):
        faces = np.array(faces)
        seen = rasterize_mesh(vertices, faces, camera)
        assert faces[seen.face_id[32, 24], 0] == 3


def test_discard_cuts_inside_a_triangle(camera):
    vertices = np.array([[-2, -2, 0], [2, -2, 0], [0, 3, 0.0]])
    faces = np.array([[0, 1, 2]])
    field = vertices[:, 1] - 0.1  # keep what lies above y = 0.1
    full = rasterize_mesh(vertices, faces, camera)
    cut = rasterize_mesh(vertices, faces, camera, discard=field)
    height = interpolate(full, vertices, faces)[..., 1]
    assert np.array_equal(cut.mask, full.mask & (height >= 0.1)) or (
        (cut.mask != (full.mask & (height >= 0.1))).sum() < 3
    )
    two = rasterize_mesh(vertices, faces, camera, discard=np.stack([field, 0.3 - field], 1))
    assert 0 < two.mask.sum() < cut.mask.sum()


def test_adjacent_triangles_leave_no_crack(camera):
    grid = np.stack(np.meshgrid(np.linspace(-2, 2, 30), np.linspace(-2, 2, 30)), -1).reshape(-1, 2)
    vertices = np.concatenate([grid, 0.1 * np.sin(3 * grid[:, :1])], axis=1)
    corner = (np.arange(29)[:, None] * 30 + np.arange(29)).ravel()
    faces = np.concatenate(
        [
            np.stack([corner, corner + 1, corner + 30], 1),
            np.stack([corner + 1, corner + 31, corner + 30], 1),
        ]
    )
    assert rasterize_mesh(vertices, faces, camera).mask.all()


def test_behind_the_camera_draws_nothing(camera):
    behind = camera.centers[0].numpy() * 1.5 + np.eye(3)
    assert not rasterize_mesh(behind, np.array([[0, 1, 2]]), camera).mask.any()


def test_wants_one_camera(soup):
    two = orbit_cameras([0.0, 90.0], 0.0, radius_m=3.0, size=(8, 8))
    with pytest.raises(InputError, match="one"):
        rasterize_mesh(*soup, two)
