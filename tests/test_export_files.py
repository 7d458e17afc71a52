"""Files for other programs: what is read back looks the same, and needs none of our code."""

import json
import os
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from small_avatar import pictures, psnr, small_avatar

from toolkit import cli
from toolkit.body.model import joint_transforms, lbs
from toolkit.body.motion import load_clip
from toolkit.body.npz import load_body
from toolkit.body.rotations import rodrigues
from toolkit.cameras import orbit_cameras
from toolkit.errors import InputError, MissingCapabilityError, MissingFileError
from toolkit.export import splats
from toolkit.export.axes import with_up
from toolkit.export.formats import FORMATS
from toolkit.export.glb_file import GlbWriter, accessor_array, read_glb
from toolkit.export.glb_mesh import write_glb_mesh
from toolkit.export.glb_splats import read_glb_splats, write_glb_splats
from toolkit.export.proxy import make_proxy
from toolkit.export.subject import Subject, choose_pose, load_subject
from toolkit.export.write import export_avatar
from toolkit.gaussians import Gaussians
from toolkit.render.mesh import rasterize_mesh

DANCE = load_clip("dance_a")
NODE_MODULES = os.environ.get("TOOLKIT_NODE_MODULES", "runs/js/node_modules")
SPLAT_TRANSFORM = os.path.join(NODE_MODULES, "@playcanvas/splat-transform/bin/cli.mjs")


@pytest.fixture(scope="module")
def avatar():
    return small_avatar()


@pytest.fixture(scope="module")
def posed(avatar):
    return avatar.posed(DANCE.poses[20])


@pytest.fixture
def run_folder(avatar, tmp_path):
    """As the command `avatar` leaves it, as far as exports look at it."""
    avatar.save(tmp_path / "avatar.npz")
    avatar.save(tmp_path / "state" / "coarse.npz")
    body = {"pose": DANCE.poses[0].tolist(), "transl": [0.1, 0.2, 0.3], "camera": {"width": 4}}
    (tmp_path / "body.json").write_text(json.dumps(body))
    return tmp_path


def bands(gaussians, num=16):
    """The same with colours that depend on the view."""
    more = 0.2 * torch.randn(len(gaussians), num - 1, 3, generator=torch.Generator().manual_seed(1))
    return gaussians.replace(sh=torch.cat([gaussians.sh, more], dim=1))


# --- splats ---


@pytest.mark.parametrize("kind", splats.SPLAT_FORMATS)
def test_compressed_files_look_the_same_and_are_small(posed, tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    splats.write_splats(posed, path, kind)
    back = splats.read_splats(path)
    assert len(back) == len(posed)
    assert psnr(pictures(posed), pictures(back)) > 45
    posed.save_ply(tmp_path / "a.ply")
    assert path.stat().st_size < 0.6 * (tmp_path / "a.ply").stat().st_size


def test_without_gaussforge_the_package_is_named(posed, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gaussforge", None)
    with pytest.raises(MissingCapabilityError, match="pip install gaussforge"):
        splats.write_splats(posed, tmp_path / "a.spz", "spz")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", splats.SPLAT_FORMATS)
def test_damaged_compressed_files_are_told(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    path.write_bytes(b"not splats at all")
    with pytest.raises(InputError):
        splats.read_splats(path)
    with pytest.raises(MissingFileError):
        splats.read_splats(tmp_path / f"none.{kind}")


def test_half_a_turn_turns_the_picture_with_all_bands(posed):
    gaussians = bands(posed)
    camera = orbit_cameras([0.0], [0.0], radius_m=4.0, size=(120, 120))
    from toolkit.render.api import render

    upright, turned = (render(g, camera).rgb[0] for g in (gaussians, with_up(gaussians, "-y")))
    assert psnr(upright.flip(0, 1), turned) > 60
    assert psnr(upright, turned) < 25
    twice = with_up(with_up(gaussians, "-y"), "-y")
    assert torch.equal(twice.sh, gaussians.sh) and torch.equal(twice.means, gaussians.means)
    with pytest.raises(InputError, match="SuperSplat"):
        with_up(gaussians, "z")


@pytest.mark.skipif(not shutil.which("node"), reason="no node")
@pytest.mark.skipif(
    not os.path.isfile(SPLAT_TRANSFORM),
    reason="npm install --prefix runs/js @playcanvas/splat-transform",
)
@pytest.mark.parametrize("kind", ["ply", *splats.SPLAT_FORMATS])
def test_playcanvas_reads_what_we_write(posed, tmp_path, kind):
    path, out = tmp_path / f"a.{kind}", tmp_path / "b.ply"
    posed.save_ply(path) if kind == "ply" else splats.write_splats(posed, path, kind)
    command = ["node", SPLAT_TRANSFORM, "-q", "-w", "-g", "cpu", str(path), str(out)]
    subprocess.run(command, check=True, timeout=120)
    if kind == "spz":  # it writes an infinite logit for opaque Gaussians
        out.write_bytes(splats.finite_ply(out.read_bytes()))
    back = Gaussians.load_ply(out)
    if kind == "spz":
        # .spz is y up by its specification, as we are; PLY files are y down for this program,
        # which therefore turns the scene by half a turn about x
        w, x, y, z = back.quats.unbind(1)
        back = back.replace(
            means=back.means * torch.tensor([1.0, -1.0, -1.0]),
            quats=torch.stack([-x, w, -z, y], dim=1),
        )
    assert psnr(pictures(posed), pictures(back)) > 45


# --- glTF ---


def test_gltf_splats_come_back_exactly_with_all_bands(posed, tmp_path):
    gaussians = bands(posed)
    write_glb_splats(gaussians, tmp_path / "a.glb")
    back = read_glb_splats(tmp_path / "a.glb")
    for name in ("means", "quats", "scales", "opacities", "sh"):
        assert torch.equal(getattr(back, name), getattr(gaussians, name)), name


def test_gltf_colours_are_linear_light_and_quaternions_end_with_w(posed, tmp_path):
    from skimage.color.colorconv import rgb2xyz, xyz_from_rgb

    write_glb_splats(posed, tmp_path / "a.glb")
    document, binary = read_glb(tmp_path / "a.glb")
    attributes = document["meshes"][0]["primitives"][0]["attributes"]
    color = accessor_array(document, binary, attributes["COLOR_0"])
    srgb = posed.colors.clamp(0, 1).numpy().astype(np.float64)
    linear = rgb2xyz(srgb) @ np.linalg.inv(xyz_from_rgb).T  # skimage's, by way of XYZ
    assert np.abs(color[:, :3] - linear).max() < 1e-4
    assert np.array_equal(color[:, 3], posed.opacities.numpy())
    turns = accessor_array(document, binary, attributes["KHR_gaussian_splatting:ROTATION"])
    assert np.array_equal(turns[:, 3], posed.quats[:, 0].numpy())


def node_transforms(document, rotations, root):
    """World matrices of all nodes as an engine computes them, from the file alone."""
    world = {}

    def visit(index, above):
        node = document["nodes"][index]
        local = np.eye(4)
        local[:3, :3] = rotations.get(index, np.eye(3))
        local[:3, 3] = root if index == 0 else node.get("translation", [0, 0, 0])
        world[index] = above @ local
        for child in node.get("children", []):
            visit(child, world[index])

    visit(0, np.eye(4))
    return world


def test_an_engine_that_plays_the_mesh_moves_it_as_we_do(avatar, tmp_path):
    from scipy.spatial.transform import Rotation

    body, frame = load_body(), 31
    mesh = make_proxy(avatar, body)
    write_glb_mesh(mesh, avatar.rig, tmp_path / "m.glb", motion=DANCE)
    document, binary = read_glb(tmp_path / "m.glb")
    read = lambda number: accessor_array(document, binary, number)  # noqa: E731
    animation = document["animations"][0]
    rotations, root = {}, None
    for channel in animation["channels"]:
        values = read(animation["samplers"][channel["sampler"]]["output"])[frame]
        if channel["target"]["path"] == "rotation":
            rotations[channel["target"]["node"]] = Rotation.from_quat(values).as_matrix()
        else:
            root = values
    world = node_transforms(document, rotations, root)
    inverse = read(document["skins"][0]["inverseBindMatrices"]).swapaxes(1, 2)
    matrices = np.stack([world[j] @ inverse[j] for j in document["skins"][0]["joints"]])
    attributes = document["meshes"][0]["primitives"][0]["attributes"]
    points, ids, weights = (read(attributes[k]) for k in ("POSITION", "JOINTS_0", "WEIGHTS_0"))
    blended = (weights[..., None, None] * matrices[ids]).sum(1)
    posed = (blended[:, :3, :3] @ points[..., None])[..., 0] + blended[:, :3, 3]
    full = torch.zeros(len(points), 55).scatter_(1, mesh.joint_ids, mesh.weights)
    rotmats = rodrigues(DANCE.poses[frame])
    ours = joint_transforms(rotmats, avatar.rig.joints, avatar.rig.parents)
    expected = lbs(mesh.vertices, full, ours) + DANCE.transl[frame]
    assert np.abs(posed - expected.numpy()).max() < 1e-5


def test_the_proxy_covers_what_the_gaussians_cover(avatar):
    body = load_body()
    mesh = make_proxy(avatar, body)
    camera = orbit_cameras([20.0], [5.0], radius_m=4.0, size=(160, 160))
    seen = rasterize_mesh(mesh.vertices.numpy(), mesh.faces.numpy(), camera).mask
    from toolkit.render.api import render

    alpha = render(avatar.gaussians, camera).alpha[0, ..., 0].numpy() > 0.5
    assert (seen & alpha).sum() / seen.sum() > 0.97  # these Gaussians stand off the skin
    assert torch.allclose(mesh.weights.sum(1), torch.ones(len(mesh.weights)))
    assert torch.allclose(mesh.normals.norm(dim=1), torch.ones(len(mesh.normals)), atol=1e-5)


def test_other_files_are_no_glb(tmp_path):
    (tmp_path / "a.glb").write_bytes(b"glTF but short")
    with pytest.raises(InputError, match="GLB"):
        read_glb(tmp_path / "a.glb")
    with pytest.raises(MissingFileError):
        read_glb(tmp_path / "none.glb")
    writer = GlbWriter()
    writer.document |= {"meshes": []}
    writer.save(tmp_path / "empty.glb")
    with pytest.raises(InputError, match="KHR_gaussian_splatting"):
        read_glb_splats(tmp_path / "empty.glb")


# --- bundle ---


def test_the_bundle_poses_itself_with_numpy_alone(avatar, tmp_path):
    path = tmp_path / "avatar.zip"
    pose, transl = DANCE.poses[12], DANCE.transl[12]
    subject = Subject("x", avatar, body={"camera": {"width": 3}})
    from toolkit.export.bundle import write_bundle

    write_bundle(subject, path, pose, transl)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "out")
        names = set(archive.namelist())
    assert {"README.txt", "camera.json", "rig.npz", "skeleton.json"} <= names
    command = [sys.executable, "-I", "pose.py", "smplx.json", "mine.ply"]
    subprocess.run(command, cwd=tmp_path / "out", check=True, timeout=120)
    mine = Gaussians.load_ply(tmp_path / "out" / "mine.ply")
    ours = avatar.posed(pose, transl)
    assert (mine.means - ours.means).abs().max() < 1e-5
    assert (mine.quats * ours.quats).sum(1).abs().min() > 1 - 1e-5
    first = path.read_bytes()
    write_bundle(subject, path, pose, transl)
    assert path.read_bytes() == first


# --- commands ---


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_written_beside_the_avatar(run_folder, kind, capsys):
    before = set(run_folder.iterdir())
    assert cli.main(["export", str(run_folder), "--format", kind]) == 0
    new = set(run_folder.iterdir()) - before
    assert len(new) == (2 if kind == "glb" else 1)
    assert all(str(path) in capsys.readouterr().out or path.stat().st_size > 1000 for path in new)


def test_poses_by_name_by_file_and_by_frame(run_folder, tmp_path):
    subject = load_subject(run_folder)
    assert not choose_pose(subject, None)[0].any()
    assert choose_pose(subject, "a")[0].any()
    photo, transl = choose_pose(subject, "photo")
    assert torch.equal(photo, DANCE.poses[0]) and transl.tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert torch.equal(choose_pose(subject, None, "dance_a", -1)[0], DANCE.poses[-1])
    np.save(tmp_path / "p.npy", DANCE.poses[5].numpy())
    file = choose_pose(subject, str(tmp_path / "p.npy"))[0]
    assert torch.allclose(file[1:], DANCE.poses[5, 1:], atol=1e-5)
    export_avatar(subject, tmp_path / "x.ply", "ply", motion="dance_a", frame=7)
    back = Gaussians.load_ply(tmp_path / "x.ply")
    ours = subject.avatar.posed(DANCE.poses[7], DANCE.transl[7])
    assert torch.allclose(back.means, ours.means, atol=1e-6)


WRONG = {
    "fbx": (["--format", "fbx"], "ply, spz"),
    "two poses": (["--format", "ply", "--pose", "a", "--motion", "walk"], "one of them"),
    "frame": (["--format", "ply", "--motion", "walk", "--frame", "999"], "0 to 37"),
    "up": (["--format", "glb", "--up", "-y"], "ply, spz, splat and sog"),
    "motion": (["--format", "ply", "--motion", "moonwalk"], "stroll"),
    "html": (["--format", "html", "--pose", "a"], "--motion"),
}


@pytest.mark.parametrize("name", WRONG)
def test_mistakes_leave_nothing_behind(run_folder, name, capsys):
    before = sorted(run_folder.rglob("*"))
    arguments, words = WRONG[name]
    assert cli.main(["export", str(run_folder), *arguments]) == 2
    assert words in capsys.readouterr().err
    assert sorted(run_folder.rglob("*")) == before


def test_a_coarse_avatar_of_another_rig_is_not_shown(run_folder):
    assert load_subject(run_folder).coarse is not None
    small_avatar(300).save(run_folder / "state" / "coarse.npz")
    assert load_subject(run_folder).coarse is None
    with pytest.raises(InputError, match="no rig"):
        load_subject(run_folder / "refined.ply")


def test_a_missing_avatar_is_told_before_torch_is_loaded():
    code = (
        "import sys; from toolkit import cli\n"
        "a = cli.main(['export', 'none', '--format', 'ply'])\n"
        "b = cli.main(['animate', 'none', '--motion', 'walk', '--out', 'x.mp4'])\n"
        "sys.exit(0 if (a, b, 'torch' in sys.modules) == (2, 2, False) else 1)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0 and run.stderr.count("none does not exist") == 2
