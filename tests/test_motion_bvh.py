"""BVH: skeletons of other programs, at rest in other poses, hold our limbs as theirs."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from toolkit.body.model import JOINT_NAMES
from toolkit.body.motion import load_clip
from toolkit.body.motion_bvh import read_bvh
from toolkit.body.motion_feet import Skeleton, joint_chain
from toolkit.body.motion_import import import_motion
from toolkit.body.motion_names import match_names
from toolkit.body.npz import load_body
from toolkit.body.rotations import rodrigues
from toolkit.errors import InputError

WALK = load_clip("walk")
INDEX = {name: j for j, name in enumerate(JOINT_NAMES)}


@pytest.fixture(scope="module")
def skeleton():
    body = load_body()
    floor = float(body.v_template[body.faces_body.unique(), 1].min())
    return Skeleton(body.rest_joints(torch.zeros(20)), body.parents, floor)


def write_bvh(path, names, parents, offsets, rotations, root, *, order="ZXY", fps=30, **more):
    """A plain writer: `six` gives every joint a position, `ends` adds End Sites."""
    lines, channels = ["HIERARCHY"], []

    def visit(j, depth):
        pad, position = "  " * depth, j == 0 or more.get("six")
        lines.append(f"{pad}{'ROOT' if j == 0 else 'JOINT'} {names[j]}")
        words = [f"{a}position" for a in "XYZ"] if position else []
        words += [f"{a}rotation" for a in order]
        channels.append((j, position))
        numbers = " ".join(f"{v:.8f}" for v in offsets[j])
        lines.extend([pad + "{", f"{pad}  OFFSET {numbers}"])
        lines.append(f"{pad}  CHANNELS {len(words)} {' '.join(words)}")
        children = [k for k, p in enumerate(parents) if p == j]
        for child in children:
            visit(child, depth + 1)
        if not children and more.get("ends"):
            lines.extend([f"{pad}  End Site", pad + "  {", f"{pad}    OFFSET 0 1 0", pad + "  }"])
        lines.append(pad + "}")

    visit(0, 0)
    lines += ["MOTION", f"Frames: {len(rotations)}", f"Frame Time: {1 / fps:.9f}"]
    for t in range(len(rotations)):
        row = []
        for j, position in channels:
            place = root[t] if j == 0 else offsets[j]
            row += list(place) if position else []
            angles = Rotation.from_matrix(rotations[t, j]).as_euler(order, degrees=True)
            row += list(angles)
        lines.append(" ".join(f"{v:.7f}" for v in row))
    path.write_text("\n".join(lines) + "\n")
    return path


def our_source(skeleton, frames=slice(0, 38, 4)):
    """Our own skeleton and walk, as another program would store them."""
    offsets = skeleton.joints.numpy().copy()
    parents = skeleton.parents.tolist()
    offsets[1:] -= skeleton.joints.numpy()[parents[1:]]
    rotations = rodrigues(WALK.poses[frames]).numpy().astype(float)
    root = (WALK.transl[frames] + skeleton.joints[0]).numpy()
    return parents, offsets.astype(float), rotations, root.astype(float)


@pytest.mark.parametrize("order", ["ZXY", "XYZ", "YZX"])
@pytest.mark.parametrize("more", [{}, {"six": True}, {"ends": True}])
def test_our_own_walk_comes_back(skeleton, tmp_path, order, more):
    if order != "ZXY" and more:
        pytest.skip("orders and channels are told apart one at a time")
    source = our_source(skeleton)
    path = write_bvh(tmp_path / "w.bvh", JOINT_NAMES, *source, order=order, **more)
    motion = import_motion(path, skeleton).motion
    expected = WALK.poses[0:38:4]
    assert torch.allclose(motion.poses[:, 1:22], expected[:, 1:22], atol=1e-4)
    assert (
        motion.transl - motion.transl[0] - WALK.transl[0:38:4] + WALK.transl[0]
    ).abs().max() < 2e-2  # noqa: E501
    assert motion.fps == pytest.approx(30, abs=1e-3)


CMU = {
    "pelvis": "Hips", "left_hip": "LeftUpLeg", "left_knee": "LeftLeg", "left_ankle": "LeftFoot",
    "left_foot": "LeftToeBase", "right_hip": "RightUpLeg", "right_knee": "RightLeg",
    "right_ankle": "RightFoot", "right_foot": "RightToeBase", "spine1": "LowerBack",
    "spine2": "Spine", "spine3": "Spine1", "neck": "Neck", "head": "Head",
    "left_collar": "LeftShoulder", "left_shoulder": "LeftArm", "left_elbow": "LeftForeArm",
    "left_wrist": "LeftHand", "right_collar": "RightShoulder", "right_shoulder": "RightArm",
    "right_elbow": "RightForeArm", "right_wrist": "RightHand",
}  # fmt: skip


def cmu_source(skeleton, unit=100.0, arms_down_deg=50.0, zero_collar=True):
    """22 joints in centimetres, z up, facing +x, at rest in an A-pose, with odd proportions."""
    rows = [INDEX[name] for name in CMU]
    order = sorted(rows)
    names = [CMU[JOINT_NAMES[j]] for j in order]
    parents = [order.index(p) if (p := int(skeleton.parents[j])) >= 0 else -1 for j in order]
    joints = skeleton.joints.numpy().astype(float)
    offsets = np.stack([joints[j] - (joints[skeleton.parents[j]] if j else 0) for j in order])
    offsets[:, 1] *= 1.2  # longer legs and spine than ours
    for j, name in enumerate(names):
        side = 1 if name.startswith("Left") else -1
        if name.endswith(("ForeArm", "Hand")):
            angle = np.radians(-side * arms_down_deg)
            offsets[j] = Rotation.from_rotvec([0, 0, angle]).apply(offsets[j])
        if zero_collar and name.endswith("Shoulder"):
            offsets[j] = 0
    to_file = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
    rng = np.random.default_rng(3)
    angles = np.cumsum(0.03 * rng.normal(size=(12, len(names), 3)), axis=0)
    rotations = Rotation.from_rotvec(angles.reshape(-1, 3)).as_matrix().reshape(12, -1, 3, 3)
    root = np.cumsum(rng.normal(size=(12, 3)), axis=0)
    return names, parents, unit * offsets @ to_file.T, rotations, root, to_file


def test_limbs_point_where_those_of_the_source_point(skeleton, tmp_path):
    names, parents, offsets, rotations, root, to_file = cmu_source(skeleton)
    path = write_bvh(tmp_path / "c.bvh", names, parents, offsets, rotations, root)
    found = import_motion(path, skeleton)
    bvh = read_bvh(path)
    _, theirs = bvh.world()
    theirs = theirs @ to_file  # to our axes: the inverse of a rotation is its transpose
    _, ours = joint_chain(found.motion.poses, skeleton)
    heading = np.radians(found.notes["turned_deg"])
    theirs = theirs @ Rotation.from_rotvec([0, heading, 0]).as_matrix().T
    for side in ("left", "right"):
        for near, far in (
            ("hip", "knee"),
            ("knee", "ankle"),
            ("shoulder", "elbow"),
            ("elbow", "wrist"),
        ):  # noqa: E501
            a, b = f"{side}_{near}", f"{side}_{far}"
            bone = ours[:, INDEX[b]] - ours[:, INDEX[a]]
            source = theirs[:, bvh.names.index(CMU[b])] - theirs[:, bvh.names.index(CMU[a])]
            cosine = (bone.numpy() * source).sum(1) / np.linalg.norm(bone, axis=1)
            cosine /= np.linalg.norm(source, axis=1)
            assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).max() < 0.2, a
    assert found.notes["joints matched"] == 22
    ours_leg = skeleton.joints[[1, 4, 7]].diff(dim=0).norm(dim=1).sum()
    rows = [names.index(n) for n in ("LeftLeg", "LeftFoot")]
    scale = float(ours_leg) / np.linalg.norm(offsets[rows], axis=1).sum()
    walked = np.linalg.norm(np.diff(root, axis=0), axis=1) * scale
    assert np.allclose(found.motion.transl.diff(dim=0).norm(dim=1), walked, rtol=1e-3)


def test_a_rest_pose_in_front_of_the_motion_is_dropped(skeleton, tmp_path):
    names, parents, offsets, rotations, root, _ = cmu_source(skeleton)
    bent = np.array(rotations)
    bent[:, names.index("LeftArm")] = Rotation.from_rotvec([0, 1.2, 0]).as_matrix()
    bent[0] = np.eye(3)
    path = write_bvh(tmp_path / "c.bvh", names, parents, offsets, bent, root)
    found = import_motion(path, skeleton)
    assert found.notes["first frames dropped"] == 1 and len(found.motion) == len(bent) - 1


def test_names_of_other_programs_are_known():
    mixamo = [f"mixamorig:{name}" for name in CMU.values()]
    for names in (list(CMU.values()), mixamo, list(JOINT_NAMES)):
        assert len(match_names(tuple(names))) >= 22
    smpl = match_names(JOINT_NAMES)
    assert all(smpl[j] == j for j in range(22))
    cmu = match_names(tuple(CMU.values()))
    assert [list(CMU)[row] for row in cmu.values()] == [JOINT_NAMES[j] for j in cmu]
    poser = "Hip LeftHip LeftKnee LeftAnkle RightHip RightKnee RightAnkle LeftCollar LeftShoulder"
    assert {JOINT_NAMES[j] for j in match_names(tuple(poser.split()))} >= {
        "left_shoulder",
        "left_collar",
    }  # noqa: E501


GOOD = """HIERARCHY
ROOT Hips { OFFSET 0 0 0 CHANNELS 3 Zrotation Xrotation Yrotation
 JOINT LeftUpLeg { OFFSET 1 0 0 CHANNELS 3 Zrotation Xrotation Yrotation
  JOINT LeftLeg { OFFSET 0 -4 0 CHANNELS 3 Zrotation Xrotation Yrotation
   JOINT LeftFoot { OFFSET 0 -4 0 CHANNELS 3 Zrotation Xrotation Yrotation } } }
 JOINT RightUpLeg { OFFSET -1 0 0 CHANNELS 3 Zrotation Xrotation Yrotation
  JOINT RightLeg { OFFSET 0 -4 0 CHANNELS 3 Zrotation Xrotation Yrotation
   JOINT RightFoot { OFFSET 0 -4 0 CHANNELS 3 Zrotation Xrotation Yrotation } } } }
MOTION
Frames: 1
Frame Time: 0.05
""" + " ".join(["0"] * 21)


def test_legs_alone_are_enough_and_stand_still(skeleton, tmp_path):
    (tmp_path / "l.bvh").write_text(GOOD)
    motion = import_motion(tmp_path / "l.bvh", skeleton).motion
    assert len(motion) == 1 and motion.fps == pytest.approx(20)
    assert not motion.poses[:, 22:].any()


WRONG = {
    "no root": GOOD.replace("ROOT", "JOINT"),
    "cut off": GOOD[: GOOD.index("MOTION") - 9],
    "cut numbers": GOOD[:-8],
    "channel": GOOD.replace("Yrotation", "Wrotation", 1),
    "frame time": GOOD.replace("0.05", "0"),
    "words": GOOD.replace("0.05", "abc"),
    "other names": GOOD.replace("LeftLeg", "Box12"),
    "no legs": GOOD.replace("-4", "0"),
    "not a number": GOOD.replace(" -4", " nan", 1),
    "many frames": GOOD.replace("Frames: 1", "Frames: 99999999999"),
    "empty": "",
}


@pytest.mark.parametrize("name", WRONG)
def test_damaged_files_are_told(skeleton, tmp_path, name):
    (tmp_path / "b.bvh").write_text(WRONG[name])
    with pytest.raises(InputError):
        import_motion(tmp_path / "b.bvh", skeleton)
