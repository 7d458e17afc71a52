"""Motion from outside: one walk in every dialect is the same walk."""

import json
import zipfile

import numpy as np
import pytest
import torch

from toolkit.body import motion_npz
from toolkit.body.motion import load_clip
from toolkit.body.motion_feet import Skeleton
from toolkit.body.motion_import import import_motion
from toolkit.body.npz import load_body
from toolkit.body.rotations import matrix_to_axis_angle, rodrigues
from toolkit.errors import InputError, MissingFileError

WALK = load_clip("walk")
TO_Z_UP = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # our y to z
TO_Y_DOWN = torch.diag(torch.tensor([1.0, -1.0, -1.0]))


@pytest.fixture(scope="module")
def skeleton():
    body = load_body()
    floor = float(body.v_template[body.faces_body.unique(), 1].min())
    return Skeleton(body.rest_joints(torch.zeros(20)), body.parents, floor)


def turned(motion, turn):
    """Poses and translations of the same walk in a world with other axes."""
    poses = motion.poses.clone()
    roots = turn @ rodrigues(poses[:, 0])
    poses[:, 0] = torch.from_numpy(matrix_to_axis_angle(roots.numpy())).float()
    return poses.numpy(), (motion.transl @ turn.T + torch.tensor([5.0, 7.0, 3.0])).numpy()


def same_walk(motion, joints=22):
    """Up to where it starts, which way it faces, and a height that follows the soles."""
    yaw = rodrigues(WALK.poses[:1, 0])[0] @ rodrigues(motion.poses[:1, 0])[0].T
    assert torch.allclose(motion.poses[:, 1:joints], WALK.poses[:, 1:joints], atol=2e-3)
    roots = yaw @ rodrigues(motion.poses[:, 0])
    assert (roots - rodrigues(WALK.poses[:, 0])).abs().max() < 4e-3
    path = (motion.transl - motion.transl[0]) @ yaw.T
    assert (path - (WALK.transl - WALK.transl[0])).abs().max() < 5e-3
    assert motion.transl[0, [0, 2]].abs().max() < 1e-6


def parts_of(poses):
    flat = poses.reshape(len(poses), -1)
    return {
        "root_orient": flat[:, :3],
        "pose_body": flat[:, 3:66],
        "pose_jaw": flat[:, 66:69],
        "pose_eye": flat[:, 69:75],
        "pose_hand": flat[:, 75:],
    }


def dialects():
    poses, trans = turned(WALK, TO_Z_UP)
    flat = poses.reshape(len(poses), -1)
    hands = np.concatenate([flat[:, :66], flat[:, 75:]], axis=1)
    about = {"trans": trans, "gender": np.array("female"), "mocap_frame_rate": 30.0}
    smpl = np.concatenate([flat[:, :66], np.ones((len(flat), 6))], axis=1)
    parts = parts_of(poses)
    wild = {"global_orient": parts["root_orient"], "body_pose": poses[:, 1:22], "transl": trans}
    wild |= {"left_hand_pose": flat[:, 75:120], "right_hand_pose": flat[:, 120:], "fps": 30}
    ours, moved = turned(WALK, torch.eye(3))
    return {
        "smplx": about | {"poses": flat, "betas": np.zeros(300)},
        "smplh": about | {"poses": hands, "betas": np.zeros(16)},
        "smpl": about | {"poses": smpl, "betas": np.zeros(10)},
        "stageii": about | parts | {"betas": np.zeros((1, 16))},
        "4d-dress": wild,
        "cm": about | {"poses": flat, "trans": 100 * trans},
        "mm": about | {"poses": flat, "trans": 1000 * trans},
        "aist": {
            "smpl_poses": ours.reshape(-1, 165)[:, :66],
            "smpl_trans": 92 * moved,
            "smpl_scaling": [92.0],
            "fps": 30,
        },  # noqa: E501
        "ours": {"poses": WALK.poses.numpy(), "transl": WALK.transl.numpy(), "fps": 30.0},
    }


@pytest.mark.parametrize("name", dialects())
def test_every_npz_dialect_is_the_same_walk(skeleton, tmp_path, name):
    np.savez(tmp_path / "m.npz", **dialects()[name])
    found = import_motion(tmp_path / "m.npz", skeleton)
    same_walk(found.motion)
    assert found.motion.fps == 30
    assert found.notes["up"] == ("y" if name in ("aist", "ours") else "z")
    assert found.notes["unit"].startswith({"cm": "cm", "mm": "mm"}.get(name, "m,"))
    if "gender" in dialects()[name]:
        assert found.notes["gender"] == "female"
        wanted = {"smplh": 16, "stageii": 16, "smpl": 10, "smplx": 300}
        assert found.notes.get("num_betas") == wanted.get(name)


def lhm_frames(folder, order=(0, 1)):
    poses, trans = turned(WALK, TO_Y_DOWN)
    for t, (pose, where) in enumerate(zip(poses, trans, strict=True)):
        frame = {"betas": [0.0] * 10, "root_pose": pose[0], "body_pose": pose[1:22], "trans": where}
        frame |= {"jaw_pose": pose[22], "lhand_pose": pose[25:40], "rhand_pose": pose[40:]}
        frame |= {"focal": [1000.0, 1000.0], "img_size_wh": [640, 480], "pad_ratio": 0.2}
        text = json.dumps({k: np.asarray(v).tolist() for k, v in frame.items()})
        (folder / f"{t + 1}.json").write_text(text)  # 10.json comes after 9.json


def test_lhm_folders_stand_upright_in_the_order_of_their_numbers(skeleton, tmp_path):
    lhm_frames(tmp_path)
    found = import_motion(tmp_path, skeleton)
    same_walk(found.motion)
    assert found.notes["up"] == "-y" and found.notes["num_betas"] == 10
    assert "taken as 30" in found.notes["frame rate"] and found.motion.fps == 30
    assert import_motion(tmp_path, skeleton, fps=25).motion.fps == 25
    (tmp_path / "7.json").write_text('{"root_pose": [0, 0')
    with pytest.raises(InputError, match="7.json"):
        import_motion(tmp_path, skeleton)


def test_our_body_json_gives_the_photos_pose(skeleton, tmp_path):
    record = {"pose": WALK.poses[3].tolist(), "transl": [0, 0, 0], "camera": {}}
    (tmp_path / "body.json").write_text(json.dumps(record))
    pose = import_motion(tmp_path / "body.json", skeleton).motion.poses
    assert torch.allclose(pose[0, 1:], WALK.poses[3, 1:])


def test_hands_of_few_coefficients_need_the_licensed_basis(skeleton, tmp_path):
    rng = np.random.default_rng(0)
    basis = {f"hands_components{s}": rng.normal(size=(45, 45)) for s in "lr"}
    basis |= {f"hands_mean{s}": rng.normal(size=45) for s in "lr"}
    np.savez(tmp_path / "body.npz", **basis)
    few = rng.normal(size=(4, 24)) * 0.1
    np.savez(tmp_path / "m.npz", root_orient=np.zeros((4, 3)), pose_hand=few, fps=30)
    flat = import_motion(tmp_path / "m.npz", skeleton)
    assert not flat.motion.poses[:, 25:].any() and "left flat" in flat.notes["hands"]
    found = import_motion(tmp_path / "m.npz", skeleton, hands=tmp_path / "body.npz").motion
    right = few[:, 12:] @ basis["hands_componentsr"][:12] + basis["hands_meanr"]
    assert np.allclose(found.poses[:, 40:].reshape(4, 45), right, atol=1e-5)


def test_a_person_who_lies_needs_to_be_told_what_is_up(skeleton, tmp_path):
    poses = np.zeros((5, 165), np.float32)
    poses[:, 0] = -np.pi / 2 + 0.1  # on the back, in a world with y up
    np.savez(tmp_path / "m.npz", poses=poses, fps=30)
    lying = import_motion(tmp_path / "m.npz", skeleton, up="y").motion
    assert abs(float(rodrigues(lying.poses[0, 0])[1, 1])) < 0.2
    with pytest.raises(InputError, match="AMASS"):
        import_motion(tmp_path / "m.npz", skeleton, up="up")


class Evil:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was run",))


def test_pickles_are_never_opened(skeleton, tmp_path):
    path = tmp_path / "m.npz"
    poses = WALK.poses.reshape(-1, 165).numpy()
    np.savez(path, poses=poses, fps=30, extra=np.array([Evil()], object))
    assert len(import_motion(path, skeleton).motion) == len(WALK)  # an array that is not needed
    np.savez(path, poses=np.array([Evil()], object))
    with pytest.raises(InputError, match="plain numbers"):
        import_motion(path, skeleton)
    (tmp_path / "m.pkl").write_bytes(b"cos\nsystem\n")
    with pytest.raises(InputError, match="npz"):
        import_motion(tmp_path / "m.pkl", skeleton)


WRONG = {
    "no poses": {"v_template": np.zeros((5, 3))},
    "quaternions": {"poses": np.zeros((5, 55, 4))},
    "odd": {"poses": np.zeros((5, 100))},
    "empty": {"poses": np.zeros((0, 165))},
    "nan": {"poses": np.full((5, 165), np.nan)},
    "lengths": {"poses": np.zeros((5, 165)), "trans": np.zeros((4, 3))},
    "text": {"poses": np.array(["a", "b"])},
    "rate": {"poses": np.zeros((5, 165)), "fps": 0.0},
    "hands": {"root_orient": np.zeros((5, 3)), "pose_body": np.zeros((5, 60))},
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arrays_are_told(skeleton, tmp_path, name):
    np.savez(tmp_path / "m.npz", **WRONG[name])
    with pytest.raises(InputError, match="m.npz"):
        import_motion(tmp_path / "m.npz", skeleton)


def test_broken_and_huge_files_are_told(skeleton, tmp_path, monkeypatch):
    path = tmp_path / "m.npz"
    path.write_bytes(b"PK but not a zip")
    with pytest.raises(InputError, match="m.npz"):
        import_motion(path, skeleton)
    monkeypatch.setattr(motion_npz, "MAX_BYTES", 10**6)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("poses.npy", bytes(2 * 10**6))
    assert path.stat().st_size < 10_000
    with pytest.raises(InputError, match="unpacked"):
        import_motion(path, skeleton)
    with pytest.raises(MissingFileError, match="stroll"):
        import_motion(tmp_path / "none.npz", skeleton)
    with pytest.raises(InputError, match="no .json"):
        import_motion(tmp_path, skeleton)


def test_a_clip_is_taken_by_its_name_as_it_is(skeleton):
    found = import_motion("walk", skeleton)
    assert torch.equal(found.motion.poses, WALK.poses) and found.notes["format"] == "clip"
