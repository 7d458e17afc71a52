"""Bodies from files of other programs: every layout, generated here from a body that is known."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from toolkit.body.anchors import sample_anchors
from toolkit.body.motion import load_clip
from toolkit.body.npz import load_body
from toolkit.body.rotations import matrix_to_axis_angle, rodrigues
from toolkit.cameras import Cameras, intrinsics
from toolkit.cli import main
from toolkit.errors import InputError, MissingFileError
from toolkit.photo.body_file.fit import STAGES, fit_body_file
from toolkit.photo.body_file.layouts import read_body_file
from toolkit.photo.body_file.points import LEAST_M, MHR_POINTS, MOST_M, UNITS, unit_of
from toolkit.photo.detection.keypoint_names import KEYPOINT_NAMES
from toolkit.photo.detection.keypoints import Detection
from toolkit.photo.smplify.points import point_regressor
from toolkit.photo.smplify.reduced_body import ReducedBody
from toolkit.photo.smplify.unknowns import VIEW
from toolkit.profiles.base import Profile
from toolkit.profiles.body_file import with_body_file
from toolkit.profiles.embedded import EmbeddedProfile
from toolkit.render.mesh import rasterize_mesh
from toolkit.run.files import sample_path
from toolkit.weights.licences import UNKNOWN, source_of

SIZE, PELVIS = (256, 192), torch.tensor([0.1, 0.05, 4.0])


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def truth(body):
    """A walking person: shape, pose, and points in the axes of the camera, metres."""
    betas = 0.7 * torch.randn(body.num_betas, generator=torch.Generator().manual_seed(3))
    pose = load_clip("walk").poses[10].clone()
    pose[0] = torch.tensor([0.0, 0.6, 0.0])
    pose[22:] = 0
    out = body(betas, pose)
    anchors = sample_anchors(body, 4000)  # a mesh of another topology
    corners = out.vertices[body.faces_body[anchors.faces]]
    skin = torch.einsum("nk,nkd->nd", anchors.bary, corners)
    camera_pose = pose.clone()
    camera_pose[0] = torch.from_numpy(
        matrix_to_axis_angle((VIEW @ rodrigues(pose[0])).numpy())
    ).float()

    def seen(points):
        return ((points - out.joints[0]) @ VIEW + PELVIS).numpy()

    return SimpleNamespace(
        betas=betas,
        pose=pose,
        camera_pose=camera_pose.numpy(),
        joints=seen(out.joints),
        skin=seen(skin),
        photo=seen(point_regressor(body) @ out.vertices),
        vertices=out.vertices - out.joints[0],
    )


@pytest.fixture(scope="module")
def detection(body, truth):
    """What a detector sees of the person, without error."""
    viewmat = torch.eye(4)
    viewmat[:3, :3], viewmat[:3, 3] = VIEW, PELVIS
    camera = Cameras(viewmat[None], intrinsics(30.0, SIZE[0], SIZE[0]), SIZE[1], SIZE[0])
    camera.Ks[0, 0, 2] = SIZE[1] / 2
    points = ReducedBody.of(body).posed(truth.betas, truth.pose[:22], surface=False)[0]
    pixels = camera.project(points)[0][0]
    mask = rasterize_mesh(truth.vertices.numpy(), body.faces_body.numpy(), camera).mask
    rows, cols = np.nonzero(mask)
    return Detection(
        torch.cat([pixels, torch.ones(33, 1)], dim=1).numpy(),
        (points - points[[23, 24]].mean(0)).numpy(),
        mask.astype(np.float32),
        np.array([cols.min(), rows.min(), cols.max() + 1, rows.max() + 1], np.float64),
    )


def mhr(truth, unit=1.0):
    """SAM 3D Body's output for one person: points relative to the camera's translation."""
    named = np.full((70, 3), 7.0, np.float32)  # what we do not map must not matter
    for index, name in MHR_POINTS.items():
        named[index] = truth.photo[KEYPOINT_NAMES.index(name)]
    focal = 256 / 2 / np.tan(np.deg2rad(15))
    shift = np.array([0.3, -0.2, 3.0], np.float32)
    return {
        "pred_vertices": (truth.skin - shift) / unit,
        "pred_keypoints_3d": (named - shift) / unit,
        "pred_cam_t": shift,
        "focal_length": np.float32(focal),
        "mhr_model_params": np.zeros(204, np.float32),
        "shape_params": np.zeros(45, np.float32),
    }


def matrices(pose):
    return rodrigues(torch.from_numpy(pose)).numpy()


def smpl(truth):
    """72 numbers: 22 joints and two palms."""
    return np.concatenate([truth.camera_pose[:22].ravel(), np.zeros(6)]).astype(np.float32)


def layouts(truth):
    pose, pelvis = truth.camera_pose, PELVIS.numpy()
    K = np.eye(3) * 477.0
    return {
        "nlf": {
            "pose": smpl(truth)[None],
            "betas": np.ones((1, 10)),
            "trans": pelvis[None],
            "joints3d": 1000 * truth.joints[None, :24],
            "vertices3d": 1000 * truth.skin[None],
        },
        "camerahmr": {
            "pose": smpl(truth)[None],
            "shape": np.ones((1, 10)),
            "cam_t": pelvis[None],
            "cam_int": K[None],
        },
        "camerahmr network": {
            "global_orient": matrices(pose[:1])[None],
            "body_pose": np.concatenate([matrices(pose[1:22]), np.eye(3)[None].repeat(2, 0)])[None],
            "betas": np.ones((1, 10)),
        },
        "prompthmr": {
            "pose": pose.reshape(1, 165),
            "shape": np.ones((1, 10)),
            "trans": pelvis[None],
        },
        "prompthmr matrices": {"rotmat": matrices(pose), "shape": np.ones(10)},
        "smplx": {
            "global_orient": pose[:1],
            "body_pose": pose[1:22],
            "betas": np.ones(10),
            "transl": pelvis,
            "left_hand_pose": pose[25:40],
        },
        "world y up": {"root_orient": truth.pose[0].numpy(), "pose_body": pose[1:22].reshape(63)},
    }


NAMES = {  # and what the report calls them
    "nlf": "NLF",
    "camerahmr": "CameraHMR",
    "camerahmr network": "SMPL-X parameters",
    "prompthmr": "PromptHMR",
    "prompthmr matrices": "PromptHMR",
    "smplx": "SMPL-X parameters",
}


def save(path, arrays, kind):
    if kind == "npz":
        np.savez(path.with_suffix(".npz"), **arrays)
    else:  # nested, as results by track and frame are
        plain = {key: np.asarray(value).tolist() for key, value in arrays.items()}
        content = {"people": {"7": {"smplx_cam": plain, "track_id": 7}}, "video": "a.mp4"}
        path.with_suffix(".json").write_text(json.dumps(content))
    return path.with_suffix(f".{kind}")


@pytest.mark.parametrize("kind", ["npz", "json"])
@pytest.mark.parametrize("name", NAMES)
def test_each_layout_gives_the_pose(name, kind, truth, tmp_path):
    (person,) = read_body_file(save(tmp_path / "a", layouts(truth)[name], kind))
    assert person.layout == NAMES[name]
    ours, theirs = (rodrigues(torch.as_tensor(p)) for p in (person.pose, truth.camera_pose))
    assert (ours - theirs).abs().max() < 1e-5
    smpl_shape = name in ("nlf", "camerahmr", "camerahmr network")
    assert (person.betas is None) == smpl_shape  # SMPL's betas are not SMPL-X's
    assert (person.focal_px == 477.0) == (name == "camerahmr")


@pytest.mark.parametrize("unit", UNITS)
def test_units_are_told_by_the_height(unit, truth, tmp_path):
    (person,) = read_body_file(save(tmp_path / "a", mhr(truth, unit), "npz"))
    assert np.allclose(person.vertices, mhr(truth)["pred_vertices"], atol=1e-4)
    assert ("unit" in person.notes) == (unit != 1.0)
    sizes = torch.tensor([LEAST_M, 1.0, MOST_M])
    for size in sizes:
        assert unit_of(tmp_path, np.array([[0, 0, 0], [0, float(size) / unit, 0]])) == unit
    assert max(UNITS) * LEAST_M > 0.01 * MOST_M  # no size is a person's in two units


def test_our_body_is_fitted_to_vertices_of_another_topology(truth, detection, tmp_path, body):
    path = save(tmp_path / "a", mhr(truth), "npz")
    (person,) = read_body_file(path)
    assert person.pose is None and person.betas is None and "MHR" in person.layout
    fitted = fit_body_file(path, detection, SIZE, body, stages=())  # the photo moves nothing
    gap = gap_to(truth, fitted, body)
    print(f"\nmm between fitted and true vertices: {1e3 * gap.mean():.1f}")
    assert gap.mean() < 0.01 and gap.max() < 0.06  # m


def gap_to(truth, fitted, body):
    out = body(fitted.betas, fitted.pose, fitted.transl)
    return (out.vertices - truth.vertices)[body.faces_body.unique()].norm(dim=1)


@pytest.mark.parametrize("name", ["nlf", "prompthmr", "world y up"])
def test_person_in_the_photo(name, truth, detection, body, tmp_path):
    path = save(tmp_path / "a", layouts(truth)[name], "npz")
    fitted = fit_body_file(path, detection, SIZE, body, stages=STAGES[:1])
    pixels = fitted.camera.project(
        ReducedBody.of(body).posed(fitted.betas, fitted.pose[:22], surface=False)[0]
    )[0][0]
    error = np.linalg.norm(pixels.numpy() - detection.keypoints[:, :2], axis=1)
    assert error.mean() < 3  # of 256
    # metres; parameters without points say nothing of this body's lengths
    assert gap_to(truth, fitted, body).mean() < (0.03 if name == "nlf" else 0.08)


def test_of_several_people_the_one_in_the_photo_is_taken(truth, detection, body, tmp_path):
    pose = truth.camera_pose.reshape(165)
    other = pose.copy()
    other[[48, 51]] += 1.2  # arms elsewhere
    arrays = {
        "pose": np.stack([other, pose]),
        "shape": np.zeros((2, 10)),
        "trans": np.zeros((2, 3)),
    }
    path = save(tmp_path / "a", arrays, "npz")
    assert len(read_body_file(path)) == 2
    fitted = fit_body_file(path, detection, SIZE, body, stages=())
    assert (rodrigues(fitted.pose) - rodrigues(truth.pose)).abs().max() < 1e-4


def test_a_body_that_is_somebody_elses_is_refused(truth, detection, body, tmp_path):
    pose = np.zeros(165, np.float32)
    pose[[3, 6]] = -1.8  # sits
    pose[[0, 48, 51]] = 2.0, 1.3, -1.3
    path = save(tmp_path / "a", {"pose": pose, "shape": np.zeros(10), "trans": np.zeros(3)}, "npz")
    with pytest.raises(InputError, match="far from the person"):
        fit_body_file(path, detection, SIZE, body)


def without(arrays, *keys):
    return {key: value for key, value in arrays.items() if key not in keys}


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda a: without(a, "pred_vertices", "pred_keypoints_3d"), "Meta's MHR model file"),
        (lambda a: {"betas": a["shape_params"]}, "no body parameters"),
        (lambda a: a | {"pred_keypoints_3d": np.zeros((33, 3))}, "the 70 of SAM 3D Body"),
        (lambda a: a | {"pred_vertices": np.zeros((6890, 3))}, "a person of 0 units"),
        (lambda a: a | {"pred_vertices": np.full((50, 3), np.nan)}, "NaN"),
        (lambda a: a | {"pred_vertices": np.zeros((50, 2))}, "a point per row"),
        (lambda a: {"pose": np.zeros(60), "shape": np.zeros(10)}, "66, 72, 156 or 165"),
        (lambda a: {"pose": np.zeros((90, 72)), "shape": np.zeros((90, 10))}, "at most 64"),
        (lambda a: {"pose": np.zeros((2, 72)), "joints3d": np.zeros((3, 24, 3))}, "one per person"),
    ],
)
def test_what_cannot_be_used_is_named(change, words, truth, tmp_path):
    np.savez(tmp_path / "a.npz", **change(mhr(truth)))
    with pytest.raises(InputError, match=words):
        read_body_file(tmp_path / "a.npz")


def test_vertices_alone_are_refused(truth, detection, body, tmp_path):
    path = save(tmp_path / "a", without(mhr(truth), "pred_keypoints_3d"), "npz")
    with pytest.raises(InputError, match="vertices alone"):
        fit_body_file(path, detection, SIZE, body)


def test_pickles_and_other_files_are_not_opened(tmp_path):
    np.savez(tmp_path / "a.npz", people=np.array([{"pose": 1}], object))
    with pytest.raises(InputError, match="pickled objects"):
        read_body_file(tmp_path / "a.npz")
    (tmp_path / "a.pkl").write_bytes(b"x")
    with pytest.raises(InputError, match="can run code"):
        read_body_file(tmp_path / "a.pkl")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        read_body_file(tmp_path / "a.json")
    with pytest.raises(MissingFileError):
        read_body_file(tmp_path / "b.npz")


def test_profile_takes_the_file_and_says_so(truth, tmp_path, body):
    first = save(tmp_path / "a", mhr(truth), "npz")
    second = save(tmp_path / "b", layouts(truth)["nlf"], "npz")
    profile = EmbeddedProfile()
    one, two = (with_body_file(profile, path) for path in (first, second))
    assert isinstance(one, Profile) and one.models["pose_model"] == "body file: MHR, of SAM 3D Body"
    assert one.notes["body_file"]["file"] == "a.npz" and "mm" in two.notes["body_file"]["unit"]
    assert len({p.fingerprint for p in (profile, one, two)}) == 3
    assert source_of("pose", two.models["pose_model"]).use == UNKNOWN
    assert "SAM License" in source_of("pose", one.models["pose_model"]).licence


def test_command_refuses_a_bad_file_before_it_writes(tmp_path, capsys):
    (tmp_path / "a.npz").write_bytes(b"x")
    out = tmp_path / "out"
    words = ["avatar", str(sample_path("person.jpg")), "--out", str(out)]
    assert main([*words, "--body", str(tmp_path / "a.npz")]) == 2
    assert "a.npz" in capsys.readouterr().err and not out.exists()
