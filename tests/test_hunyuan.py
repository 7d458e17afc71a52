"""The pixel-alignment diagnosis: on a sphere and a person whose truth is known."""

import sys
import types
from dataclasses import replace

import numpy as np
import pytest
import torch

from toolkit.cameras import Cameras, intrinsics
from toolkit.errors import InputError, MissingCapabilityError, MissingFileError
from toolkit.gaussians import Gaussians
from toolkit.measure.hunyuan.alignment import (
    angle_map,
    gaussian_normals,
    measure_alignment,
    measure_mesh,
    measure_sensitivity,
)
from toolkit.measure.hunyuan.crop import recentre
from toolkit.measure.hunyuan.meshes import Mesh, from_trimesh, generate_mesh, read_mesh
from toolkit.measure.hunyuan.view import FLAT, MeshView, draw_mesh, fit_view, silhouette, to_view
from toolkit.measure.misalignment import silhouette_iou
from toolkit.people.draw.render import render_person
from toolkit.people.draw.triangles import extract_triangles
from toolkit.people.pose import turn_head
from toolkit.people.sample import sample_person

SIZE = 192


def sphere(radius=1.0, rings=40):
    """A closed ball, corners counter-clockwise from outside."""
    polar, around = np.meshgrid(
        np.linspace(0, np.pi, rings + 1),
        np.linspace(0, 2 * np.pi, 2 * rings, endpoint=False),
        indexing="ij",
    )
    points = np.stack(
        [np.sin(polar) * np.sin(around), np.cos(polar), np.sin(polar) * np.cos(around)], axis=-1
    )
    a = np.arange(rings * 2 * rings).reshape(rings, -1)
    b, c, d = a + 2 * rings, np.roll(a + 2 * rings, -1, 1), np.roll(a, -1, 1)
    faces = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    return Mesh((radius * points.reshape(-1, 3)).astype(np.float32), faces.astype(np.int32))


@pytest.fixture(scope="module")
def scene():
    """A person in its recentred picture: mask, normals in the viewer's axes, true mesh, camera."""
    person = sample_person(3)
    small = person.photo_camera.resized(SIZE, SIZE)
    views = render_person(person, small, supersample=1)
    picture = recentre(views.rgb[0].numpy(), views.alpha[0, ..., 0].numpy(), size_px=SIZE)
    camera = picture.camera(small)
    truth = render_person(person, camera, supersample=2)
    mesh = Mesh(*extract_triangles(person))
    return types.SimpleNamespace(
        person=person,
        picture=picture,
        camera=camera,
        mask=truth.alpha[0, ..., 0].numpy(),
        normals=to_view(truth.normals[0].numpy(), camera),
        mesh=mesh,
        boxed=mesh.boxed(),
        view=fit_view(mesh.boxed(), picture.mask),
    )


def test_normals_of_a_sphere_point_where_they_should():
    """x right, y up, z to the viewer; a sign error anywhere shows here."""
    seen, normals = draw_mesh(sphere(), MeshView(80, SIZE / 2, SIZE / 2).camera(sphere(), SIZE))
    rows, cols = np.nonzero(seen)
    x, y = (cols + 0.5 - SIZE / 2) / 80, -(rows + 0.5 - SIZE / 2) / 80
    wanted = np.stack([x, y, np.sqrt(np.maximum(1 - x**2 - y**2, 0))], axis=1)
    inner = np.hypot(x, y) < 0.95
    np.testing.assert_allclose(normals[seen][inner], wanted[inner], atol=0.03)
    assert seen.sum() == pytest.approx(np.pi * 80**2, rel=0.01)


def test_yaw_and_pitch_turn_as_documented():
    """A bump on the front goes to the picture's right with yaw, down with pitch."""
    mesh = sphere()
    lift = 1 + 0.5 * np.exp(-((mesh.vertices - [0, 0, 1]) ** 2).sum(1) / 0.02)[:, None]
    bump = Mesh((mesh.vertices * lift).astype(np.float32), mesh.faces)
    at = {}
    for name, view in {"front": {}, "yaw": {"yaw_deg": 30.0}, "pitch": {"pitch_deg": 30.0}}.items():
        camera = MeshView(60, SIZE / 2, SIZE / 2, **view).camera(bump, SIZE)
        at[name] = camera.project(torch.from_numpy(bump.vertices[lift.argmax()])[None])[0][0, 0]
    assert at["yaw"][0] > at["front"][0] + 20 and abs(at["yaw"][1] - at["front"][1]) < 1
    assert at["pitch"][1] > at["front"][1] + 20 and abs(at["pitch"][0] - at["front"][0]) < 1


def test_a_known_view_is_found_again(scene):
    mesh = scene.mesh.boxed()
    true = MeshView(80, SIZE / 2 + 3, SIZE / 2 - 2, yaw_deg=12.0, pitch_deg=-4.0, perspective=0.2)
    mask = silhouette(mesh, true, SIZE, SIZE)
    fitted = fit_view(mesh, mask)
    assert abs(fitted.yaw_deg - 12) < 2.5 and abs(fitted.pitch_deg + 4) < 2.5
    assert fitted.scale_px == pytest.approx(80, rel=0.02)
    assert np.hypot(fitted.x_px - true.x_px, fitted.y_px - true.y_px) < 1.0
    flat = fit_view(mesh, mask, perspective=False, most_evaluations=40)
    assert flat.perspective == FLAT


def test_an_aligned_mesh_is_found_aligned_without_scale_or_camera(scene):
    """The true mesh, put into Hunyuan's unit box, gets its camera back from the mask alone."""
    own = measure_alignment(
        *draw_mesh(scene.mesh, scene.camera), scene.mask, scene.normals, erode_px=2
    )
    assert np.abs(scene.boxed.vertices).max() == pytest.approx(1.01, abs=1e-4)
    measured = measure_mesh(scene.boxed, scene.view, scene.mask, scene.normals)
    assert measured.iou > 0.96 and measured.shift_px < 0.3 and measured.chamfer_px < 0.6
    assert measured.median_deg < own.median_deg + 1.5 < 9


def test_the_control_gets_worse_step_by_step(scene):
    """Shifts and turns of known size: each measure that claims to see them must be monotone."""
    measured = measure_sensitivity(
        scene.boxed,
        scene.view,
        scene.mask,
        scene.normals,
        shifts_px=(1, 2, 4),
        turns_deg=(5, 10, 20),
    )
    for series in (("0", "1 px", "2 px", "4 px"), ("0", "5 deg", "10 deg", "20 deg")):
        rows = [measured[name] for name in series]
        for field, sign in (("iou", -1), ("chamfer_px", 1), ("mean_deg", 1), ("within_22", -1)):
            values = sign * np.array([getattr(row, field) for row in rows])
            assert (np.diff(values) > 0).all(), (series, field, values)
    for shift in (1, 2, 4):
        assert measured[f"{shift} px"].shift_px == pytest.approx(shift, abs=0.35)


def test_a_turned_head_hides_from_the_silhouette_but_not_from_the_normals(scene):
    mesh = Mesh(*extract_triangles(scene.person, pose=turn_head(scene.person.pose, 40.0)))
    seen, normals = draw_mesh(mesh, scene.camera)
    turned = measure_alignment(seen, normals, scene.mask, scene.normals, erode_px=2)
    straight = measure_alignment(
        *draw_mesh(scene.mesh, scene.camera), scene.mask, scene.normals, erode_px=2
    )
    assert turned.iou > straight.iou - 0.03
    head = int(scene.picture.mask.any(1).argmax() + 0.09 * SIZE)
    angles = [
        angle_map(n, scene.normals, m, scene.mask, erode_px=2)[:head]
        for m, n in ((seen, normals), draw_mesh(scene.mesh, scene.camera))
    ]
    assert np.nanmean(angles[0]) > 1.6 * np.nanmean(angles[1])
    assert turned.within_22 < straight.within_22


def test_recentring_fills_the_square_and_keeps_the_camera(scene):
    rows, cols = np.nonzero(scene.picture.mask > 0.5)
    assert max(np.ptp(rows), np.ptp(cols)) + 1 == pytest.approx(0.85 * SIZE, abs=2)
    assert (rows.min() + rows.max() + 1) / 2 == pytest.approx(SIZE / 2, abs=1)
    assert silhouette_iou(scene.picture.mask, scene.mask) > 0.96
    assert scene.picture.rgb[0, 0].tolist() == [1, 1, 1]


def test_other_pictures_are_carried_along():
    """A dot lands where the mapping says; outside the person the fill stands."""
    mask, dot = np.zeros((100, 80), np.float32), np.zeros((100, 80), np.float32)
    mask[10:70, 20:50] = 1
    dot[38:42, 28:32] = 1
    picture = recentre(np.ones((100, 80, 3), np.float32), mask, size_px=SIZE)
    rows, cols = np.nonzero(picture.carry(dot) > 0.5)
    middle = np.array([cols.mean() + 0.5, rows.mean() + 0.5])
    np.testing.assert_allclose(
        middle, picture.scale * np.array([30, 40]) + picture.corner, atol=0.6
    )
    assert picture.carry(dot[..., None].repeat(3, 2), fill=0.5)[0, 0].tolist() == [0.5] * 3
    with pytest.raises(InputError, match="empty mask"):
        recentre(np.ones((100, 80, 3), np.float32), 0 * mask)


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply"])
def test_meshes_are_read_from_any_common_file(suffix, tmp_path):
    trimesh = pytest.importorskip("trimesh")
    mesh = sphere(rings=8)
    trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).export(tmp_path / f"ball{suffix}")
    again = read_mesh(tmp_path / f"ball{suffix}")
    np.testing.assert_allclose(again.vertices, mesh.vertices, atol=1e-5)
    assert np.array_equal(again.faces, mesh.faces)


def test_files_that_are_no_meshes(tmp_path):
    trimesh = pytest.importorskip("trimesh")
    with pytest.raises(MissingFileError, match="does not exist"):
        read_mesh(tmp_path / "none.glb")
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(InputError, match="GLB"):
        read_mesh(tmp_path / "a.txt")
    (tmp_path / "a.ply").write_text("ply\nformat ascii 1.0\nelement vertex 0\nend_header\n")
    with pytest.raises(InputError):
        read_mesh(tmp_path / "a.ply")
    (tmp_path / "a.glb").write_bytes(b"glTF, but not really")
    with pytest.raises(InputError):
        read_mesh(tmp_path / "a.glb")
    ball = sphere(rings=8)
    inside_out = trimesh.Trimesh(ball.vertices, ball.faces[:, ::-1], process=False)
    turned = from_trimesh(inside_out)
    assert (turned.normals * turned.vertices).sum(1).mean() > 0.9


def test_hunyuan_is_asked_as_its_package_wants(monkeypatch, scene):
    """A stand-in of the package records the call; without the package the error says so."""
    monkeypatch.setitem(sys.modules, "hy3dgen", None)
    with pytest.raises(MissingCapabilityError, match="licence"):
        generate_mesh(scene.picture)
    calls = {}

    class Pipeline:
        @classmethod
        def from_pretrained(cls, repo, **options):
            calls["load"] = (repo, options)
            return cls()

        def __call__(self, **options):
            calls["run"] = options
            ball = sphere(rings=8)
            return [types.SimpleNamespace(vertices=ball.vertices, faces=ball.faces)]

    package, shapegen = types.ModuleType("hy3dgen"), types.ModuleType("hy3dgen.shapegen")
    shapegen.Hunyuan3DDiTFlowMatchingPipeline = Pipeline
    monkeypatch.setitem(sys.modules, "hy3dgen", package)
    monkeypatch.setitem(sys.modules, "hy3dgen.shapegen", shapegen)
    made = generate_mesh(scene.picture, subfolder="mini", steps=5)
    assert calls["load"] == ("tencent/Hunyuan3D-2", {"subfolder": "mini"})
    image = calls["run"]["image"]
    assert image.mode == "RGBA" and image.size == (SIZE, SIZE)
    np.testing.assert_allclose(np.asarray(image)[..., 3] / 255, scene.picture.mask, atol=0.003)
    assert calls["run"]["num_inference_steps"] == 5 and calls["run"]["output_type"] == "trimesh"
    assert len(made.faces) == len(sphere(rings=8).faces)


def test_normals_of_gaussians_on_a_sphere():
    """Flat splats tangent to a ball show the ball's normals."""
    index = torch.arange(4000) + 0.5  # a Fibonacci spiral covers the ball evenly
    polar, around = torch.acos(1 - index / 2000), np.pi * (1 + 5**0.5) * index
    points = torch.stack([polar.sin() * around.cos(), polar.cos(), polar.sin() * around.sin()], 1)
    x, y, z = points.unbind(-1)
    quats = torch.nn.functional.normalize(torch.stack([1 + z, -y, x, 0 * x], dim=-1), dim=-1)
    scales = torch.tensor([[0.03, 0.03, 0.004]]).repeat(4000, 1)
    splats = Gaussians.from_colors(points, quats, scales, torch.full((4000,), 0.95), points)
    view = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))[None].clone()
    view[0, 2, 3] = 40.0
    camera = Cameras(view, intrinsics(4.0, SIZE, SIZE), SIZE, SIZE)
    alpha, normals = gaussian_normals(splats, camera)
    result = measure_alignment(alpha, normals, *draw_mesh(sphere(), camera), erode_px=6)
    assert result.iou > 0.95 and result.median_deg < 5 and result.within_11 > 0.99
    rows, cols = np.nonzero(alpha > 0.5)
    np.testing.assert_allclose([rows.mean() + 0.5, cols.mean() + 0.5], SIZE / 2, atol=0.1)


def test_bad_input_is_named(scene):
    with pytest.raises(InputError, match="one picture size"):
        measure_alignment(scene.mask[:10], scene.normals, scene.mask, scene.normals)
    with pytest.raises(InputError, match="overlap"):
        measure_alignment(0 * scene.mask, scene.normals, scene.mask, scene.normals)
    with pytest.raises(InputError, match="square"):
        fit_view(scene.mesh, scene.mask[:100])
    with pytest.raises(InputError, match="triangles"):
        replace(scene.mesh, faces=scene.mesh.faces + 10**6)
