"""npz, npy, BVH and JSON files of strangers: avatar, body and motion readers say what is wrong."""

import json
import os
import zipfile

import numpy as np
import pytest
import torch
from hard_npz import Evil, claims, encrypted, flipped, lying_size, npy, npz, zipped

from toolkit.body.avatar_file import SHAPES
from toolkit.body.motion import load_clip
from toolkit.body.motion_feet import Skeleton
from toolkit.body.motion_import import import_motion
from toolkit.body.npz import OURS, load_body
from toolkit.body.rig import Avatar
from toolkit.errors import InputError, MissingFileError, ToolkitError
from toolkit.run.npz_file import read_npz

RNG = np.random.default_rng(0)
N, J = 30, 55


def avatar_arrays() -> dict:
    quats = RNG.normal(size=(N, 4))
    weights = RNG.random((N, J)) + 0.01
    return {
        "gaussians_means": RNG.normal(size=(N, 3)).astype(np.float32),
        "gaussians_quats": (quats / np.linalg.norm(quats, axis=1, keepdims=True)).astype("f4"),
        "gaussians_scales": np.full((N, 3), 0.01, np.float32),
        "gaussians_opacities": np.full(N, 0.9, np.float32),
        "gaussians_sh": RNG.normal(size=(N, 1, 3)).astype(np.float32),
        "rig_anchors_rest": RNG.normal(size=(N, 3)).astype(np.float32),
        "rig_lbs_weights": (weights / weights.sum(1, keepdims=True)).astype(np.float32),
        "rig_joints": RNG.normal(size=(J, 3)).astype(np.float32),
        "rig_parents": np.array([-1, *range(J - 1)]),
        "rig_betas": np.zeros(20, np.float32),
    }


ARRAYS = avatar_arrays()
WHOLE = npz(ARRAYS)


def changed(**changes) -> bytes:
    return npz({key: v for key, v in (ARRAYS | changes).items() if v is not None})


def with_(key: str, value: float, row: int = 4) -> bytes:
    array = np.array(ARRAYS[key])
    array[row] = value
    return changed(**{key: array})


# --- what any npz file may be ---

ANY = {
    "empty": (b"", "damaged|no "),
    "text": (b"hello", "zip"),
    "an empty zip": (zipped({}), "no "),
    "cut off": (WHOLE[:-300], "zip"),
    "first half": (WHOLE[: len(WHOLE) // 2], "zip"),
    "an empty member": (changed(rig_joints=b""), "rig_joints|magic"),
    "a text member": (changed(rig_joints=b"hello"), "rig_joints"),
    "a member cut off": (changed(rig_joints=npy(ARRAYS["rig_joints"])[:-8]), "rig_joints"),
    "no header": (changed(rig_joints=b"\x93NUMPY\x01\x00\xff\xff"), "rig_joints"),
    "code in the header": (
        changed(rig_joints=claims("__import__('os').abort()")), "rig_joints"
    ),
    "a shape of 10^12": (changed(rig_joints=claims((10**12, 3))), "rig_joints"),
    "a shape of 10^40": (changed(rig_joints=claims((10**40, 3))), "rig_joints"),
    "a negative shape": (changed(rig_joints=claims((-1, -3), data=bytes(24))), "rig_joints"),
    "an unknown type": (changed(rig_joints=claims((55, 3), "<q9", bytes(999))), "rig_joints"),
    "a future version": (changed(rig_joints=b"\x93NUMPY\x09\x00" + bytes(99)), "rig_joints"),
    "pickles": (changed(rig_joints=np.array([Evil()] * 3, object)), "rig_joints.*pickle"),
    "a pickle, bare": (changed(rig_joints=b"\x80\x04cos\nsystem\n."), "rig_joints"),
    "text in an array": (changed(rig_joints=np.array(["a", "b"])), "rig_joints"),
    "complex numbers": (changed(rig_joints=np.zeros((J, 3), complex)), "rig_joints"),
    "dates": (changed(rig_joints=np.zeros((J, 3), "datetime64[s]")), "rig_joints"),
    "records": (changed(rig_joints=np.zeros(J, [("a", "f4"), ("b", "f4")])), "rig_joints"),
    "a lie about sizes": (lying_size(WHOLE), "damaged"),
    "wrong bytes": (flipped(WHOLE, 0.3), "damaged|zip|NaN|row"),
    "encrypted": (encrypted(WHOLE), "encrypted|password"),
    "a tar": (b"rig.npy".ljust(257, b"\0") + b"ustar" + bytes(1000), "zip"),
}  # fmt: skip


def loads(path):
    return Avatar.load(path)


@pytest.mark.parametrize("name", ANY)
def test_a_damaged_avatar_says_so_without_advice_to_trust_it(tmp_path, name, capfd):
    data, says = ANY[name]
    (tmp_path / "avatar.npz").write_bytes(data)
    with pytest.raises(InputError, match=f"avatar.npz.*({says})") as caught:
        Avatar.load(tmp_path / "avatar.npz")
    text = str(caught.value)
    assert text.isprintable() and "allow_pickle" not in text and "toolkit avatar PHOTO" in text
    assert "a pickle was run" not in capfd.readouterr().out


@pytest.mark.parametrize("size", [10, 3000])
def test_bombs_are_not_unpacked(tmp_path, size):
    """Megabytes of zeros pack to kilobytes; the limit counts what they unpack to."""
    bomb = (
        zipped({"a.npy": npy(np.zeros(size * 2**17))}, zipfile.ZIP_DEFLATED)
        if size < 99
        else (zipped({f"{i}.npy": bytes(2**20) for i in range(80)}, zipfile.ZIP_DEFLATED))
    )
    (tmp_path / "a.npz").write_bytes(bomb)
    with pytest.raises(InputError, match="unpacked"):
        read_npz(tmp_path / "a.npz", wanted="small", fix="", max_bytes=2**20)
    assert read_npz(tmp_path / "a.npz", ["b"], wanted="small", fix="", max_bytes=2**20) == {}


# --- avatars ---

SAME = {
    "as saved": {},
    "double": {k: v.astype("f8") for k, v in ARRAYS.items() if k != "rig_parents"},
    "big-endian": {k: v.astype(v.dtype.newbyteorder(">")) for k, v in ARRAYS.items()},
    "Fortran order": {k: np.asfortranarray(v) for k, v in ARRAYS.items()},
    "int32 parents": {"rig_parents": ARRAYS["rig_parents"].astype(np.int32)},
    "a pickle that nobody needs": {"extra": np.array([Evil()], object)},
}


@pytest.mark.parametrize("name", SAME)
def test_dialects_of_an_avatar_are_the_same_avatar(tmp_path, name):
    (tmp_path / "a.npz").write_bytes(changed(**SAME[name]))
    avatar = Avatar.load(tmp_path / "a.npz")
    for part in ("gaussians", "rig"):
        for key in (k for k in SHAPES if k.startswith(part)):
            got = getattr(getattr(avatar, part), key.removeprefix(f"{part}_"))
            np.testing.assert_array_equal(got.numpy(), ARRAYS[key], err_msg=key)


WRONG_AVATARS = {
    **{f"no {key}": (changed(**{key: None}), key) for key in SHAPES},
    "N differs": (changed(gaussians_scales=ARRAYS["gaussians_scales"][:-1]), "gaussians_scales"),
    "a missing axis": (changed(gaussians_sh=np.zeros((N, 3), "f4")), "gaussians_sh"),
    "SH of 5": (changed(gaussians_sh=np.zeros((N, 5, 3), "f4")), "K in 1,4,9,16"),
    "24 joints": (
        changed(
            rig_lbs_weights=np.zeros((N, 24), "f4"),
            rig_joints=np.zeros((24, 3), "f4"),
            rig_parents=np.arange(24) - 1,
        ),
        "24 joints",
    ),
    "nobody": (
        npz({k: v[:0] if v.shape[0] == N else v for k, v in ARRAYS.items()}), "0 Gaussians"
    ),
    "NaN": (with_("gaussians_means", np.nan), "gaussians_means"),
    "Inf": (with_("rig_joints", np.inf), "rig_joints"),
    "quaternion of 0": (with_("gaussians_quats", 0), "gaussians_quats.*unit.*|unit"),
    "quaternion of 2": (with_("gaussians_quats", 2), "gaussians_quats"),
    "scale below 0": (with_("gaussians_scales", -1), "gaussians_scales"),
    "opacity of 2": (with_("gaussians_opacities", 2), "gaussians_opacities"),
    "its own parent": (with_("rig_parents", 4), "rig_parents.*joint 4"),
    "a parent beyond": (with_("rig_parents", 1000), "rig_parents.*1000"),
    "a second root": (with_("rig_parents", -1), "rig_parents"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_AVATARS)
def test_a_wrong_avatar_names_the_array(tmp_path, name):
    data, says = WRONG_AVATARS[name]
    (tmp_path / "avatar.npz").write_bytes(data)
    with pytest.raises(InputError, match=says):
        Avatar.load(tmp_path / "avatar.npz")


# --- bodies ---


def body_arrays() -> dict:
    return {
        "v_template": RNG.normal(size=(N, 3)),
        "f": RNG.integers(0, N, (40, 3)),
        "shapedirs": RNG.normal(size=(N, 3, 20)),
        "J_regressor": np.full((J, N), 1 / N),
        "kintree_table": np.stack([np.array([2**32 - 1, *range(J - 1)]), np.arange(J)]),
        "weights": np.full((N, J), 1 / J),
        "posedirs": np.zeros((N, 3, 486)),
    }


BODY = body_arrays()
WRONG_BODIES = {
    **{f"no {key}": ({key: None}, key) for key in BODY if key != "posedirs"},
    "pickled": ({"weights": np.array([{}], object)}, "weights.*pickle"),
    "faces of nobody": ({"f": np.zeros((0, 3), int)}, "0 faces"),
    "faces below 0": ({"f": np.full((4, 3), -1)}, "vertices -1"),
    "faces beyond": ({"f": np.full((4, 3), N)}, f"to {N}"),
    "quads": ({"f": np.zeros((4, 4), int)}, "f: got"),
    "loop of parents": ({"kintree_table": np.tile(np.arange(J), (2, 1))}, "kintree_table"),
    "flat kintree": ({"kintree_table": np.arange(J)}, "kintree_table"),
    "no shape": ({"shapedirs": np.zeros((N, 3, 3))}, "3 shape directions"),
    "flat shapedirs": ({"shapedirs": np.zeros((N * 3, 20))}, "shapedirs"),
    "NaN shapedirs": ({"shapedirs": np.full((N, 3, 20), np.nan)}, "shapedirs"),
    "posedirs of SMPL": ({"posedirs": np.zeros((N, 3, 207))}, "posedirs"),
    "text": ({"v_template": np.array(["a"])}, "v_template"),
    "huge": ({"v_template": claims((10**11, 3), "<f8")}, "v_template"),
    "bad names of layers": ({OURS: np.arange(3), "layer_names": np.array(["x"])}, "faces_x"),
}  # fmt: skip


def test_the_body_that_they_are_made_from_is_read(tmp_path):
    (tmp_path / "body.npz").write_bytes(npz(BODY))
    assert len(load_body(tmp_path / "body.npz").v_template) == N


@pytest.mark.parametrize("name", WRONG_BODIES)
def test_a_wrong_body_names_the_array(tmp_path, name):
    changes, says = WRONG_BODIES[name]
    (tmp_path / "body.npz").write_bytes(
        npz({k: v for k, v in (BODY | changes).items() if v is not None})
    )
    with pytest.raises(InputError, match=says) as caught:
        load_body(tmp_path / "body.npz")
    assert "allow_pickle" not in str(caught.value)


# --- motions ---


@pytest.fixture(scope="module")
def skeleton():
    body = load_body()
    return Skeleton(body.rest_joints(torch.zeros(20)), body.parents, -1.0)


T = 4
ROW = np.zeros((T, 165), np.float32)
WALK = load_clip("walk")
BVH = """HIERARCHY
ROOT Hips
{{ OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  {legs}
}}
MOTION
Frames: {frames}
Frame Time: {time}
{rows}
"""
LEG = """JOINT {0}UpLeg {{ OFFSET {1} 0 0 CHANNELS 3 Zrotation Xrotation Yrotation
  JOINT {0}Leg {{ OFFSET 0 {2} 0 CHANNELS 3 Zrotation Xrotation Yrotation
  JOINT {0}Foot {{ OFFSET 0 {2} 0 CHANNELS 3 Zrotation Xrotation Yrotation }} }} }}"""


def bvh(down="-40", frames=3, time="0.033", row=("0",) * 24, num=3, legs=None) -> bytes:
    legs = legs or "\n".join(
        LEG.format(side, x, down) for side, x in (("Left", "10"), ("Right", "-10"))
    )
    return BVH.format(
        legs=legs, frames=frames, time=time, rows="\n".join([" ".join(row)] * num)
    ).encode()


def frames(**keys) -> bytes:
    frame = {"root_pose": [0, 0, 0], "body_pose": [[0, 0, 0]] * 21, "trans": [0, 0, 0]} | keys
    return json.dumps({k: v for k, v in frame.items() if v is not None}).encode()


FINE = {
    "a.npz": npz({"poses": ROW}),
    "b.npz": npz({"poses": ROW.astype(">f8"), "trans": np.zeros((T, 3)), "fps": np.array([30])}),
    "c.npz": npz({"root_orient": ROW[:, :3], "pose_body": ROW[:, :63], "betas": np.float64(1)}),
    "d.npz": npz(
        {"poses": ROW, "gender": np.array([Evil()], object), "flat_hand_mean": np.zeros(0)}
    ),
    "e.npz": npz({"poses": ROW, "gender": np.array(b"\xff\xfe"), "fps": np.array("fast")}),
    "f.npz": npz({"poses": ROW[0]}),
    "g.npy": npy(ROW),
    "h.npy": npy(ROW.reshape(T, 55, 3)),
    "i.bvh": bvh(),
    "j.bvh": bvh().replace(b"\n", b"\r\n"),
    "k.bvh": b"\xef\xbb\xbf" + bvh(),
    "l.bvh": bvh(row=("1e0",) * 24),
    "m.json": frames(),
    "n.json": b"[" + frames() + b"," + frames() + b"]",
    "o.json": json.dumps({"pose": [[0, 0, 0]] * 55, "transl": [0, 0, 0]}).encode(),
}


@pytest.mark.parametrize("name", FINE)
def test_motions_that_look_odd_and_are_fine(tmp_path, skeleton, name):
    (tmp_path / name).write_bytes(FINE[name])
    motion = import_motion(tmp_path / name, skeleton).motion
    assert (
        1 <= len(motion) <= T and motion.poses.isfinite().all() and motion.transl.isfinite().all()
    )


WRONG_MOTIONS = {
    "empty.npz": (b"", "zip"),
    "cut.npz": (FINE["a.npz"][:100], "zip"),
    "huge.npz": (npz({"poses": claims((10**9, 165))}), "poses"),
    "pickled.npz": (npz({"poses": np.array([Evil()], object)}), "plain numbers"),
    "scalar.npz": (npz({"poses": np.float32(1)}), "damaged|poses"),
    "text.npz": (npz({"poses": np.array(["a"])}), "poses"),
    "complex.npz": (npz({"poses": ROW.astype(complex)}), "complex"),
    "nan.npz": (npz({"poses": ROW * np.nan}), "NaN"),
    "degrees.npz": (npz({"poses": ROW + 170}), "radians"),
    "1e38.npz": (npz({"poses": ROW + 1e38}), "radians"),
    "far.npz": (npz({"poses": ROW, "trans": np.full((T, 3), 1e20)}), "metres"),
    "six.npz": (npz({"root_orient": np.zeros((T, 6))}), "root"),
    "matrices.npz": (npz({"poses": np.zeros((T, 55, 3, 3))}), "poses of shape"),
    "trans.npz": (npz({"poses": ROW, "trans": np.zeros((T, 4))}), "translations of shape"),
    "short.npz": (npz({"poses": ROW, "trans": np.zeros((T - 1, 3))}), "same frames"),
    "rate0.npz": (npz({"poses": ROW, "fps": np.array(0)}), "per second"),
    "rate.npz": (npz({"poses": ROW, "fps": np.array(np.nan)}), "per second"),
    "rate-.npz": (npz({"poses": ROW, "mocap_frame_rate": np.array(-30)}), "per second"),
    "parts.npz": (npz({"root_orient": ROW[:, :3], "pose_body": ROW[:3, :63]}), "damaged|body"),
    "hands.npz": (npz({"root_orient": ROW[:, :3], "lhand_pose": ROW[:, :50]}), "left hand"),
    "none.npz": (npz({"a": ROW}), "keys a"),
    "many.npz": (npz({f"key{i}": np.zeros(1) for i in range(500)}), "keys key0"),
    "empty.npy": (b"", "npy"),
    "huge.npy": (claims((10**10, 165)), "huge.npy"),
    "pickle.npy": (npy(np.array([Evil()], object)), "pickle|plain"),
    "empty.bvh": (b"", "ROOT"),
    "binary.bvh": (bytes(range(256)) * 20, "ROOT"),
    "rootless.bvh": (bvh().replace(b"ROOT", b"BOOT"), "ROOT"),
    "names.bvh": (bvh().replace(b"Leg", b"Tentacle"), "left_hip"),
    "flat.bvh": (bvh(down="0"), "without length"),
    "nan.bvh": (bvh(row=("nan",) * 24), "NaN|damaged"),
    "offset.bvh": (bvh(down="nan"), "pairs|finite|nan"),
    "word.bvh": (bvh(row=("x",) * 24), "'x'"),
    "few.bvh": (bvh(row=("0",) * 23), "cut off"),
    "half.bvh": (bvh(num=2), "Frames is wrong"),
    "billion.bvh": (bvh(frames=10**9), "frames of 24"),
    "1e400.bvh": (bvh(frames="9" * 400), "frames of 24|damaged"),
    "minus.bvh": (bvh(frames=-3), "frames of 24"),
    "time.bvh": (bvh(time="0"), "Frame Time"),
    "times.bvh": (bvh(time="soon"), "soon"),
    "slow.bvh": (bvh(time="1e-9"), "per second"),
    "no motion.bvh": (bvh().split(b"MOTION")[0], "Frames"),
    "deep.bvh": (b"HIERARCHY ROOT Hips " + b"{ JOINT a " * 50_000, "pairs"),
    "channels.bvh": (bvh().replace(b"CHANNELS 6", b"CHANNELS 99999999"), "channel"),
    "axis.bvh": (bvh().replace(b"Xposition", b"Wposition"), "Wposition"),
    "utf16.bvh": (bvh().decode().encode("utf-16"), "ROOT"),
    "empty.json": (b"", "JSON"),
    "list.json": (b"[]", "empty list"),
    "deep.json": (b"[" * 100_000, "JSON"),
    "number.json": (b"7", "something else"),
    "text.json": (b'"hello"', "something else"),
    "nan.json": (frames(root_pose=[float("nan")] * 3), "NaN"),
    "inf.json": (frames(trans=[float("inf")] * 3), "NaN or Inf"),
    "1e400.json": (frames().replace(b"[0, 0, 0]", b"[" + b"9" * 500 + b", 0, 0]", 1), "root_pose"),
    "words.json": (frames(root_pose=["a", "b", "c"]), "root_pose"),
    "ragged.json": (frames(body_pose=[[0, 0, 0], [0]]), "body_pose"),
    "short.json": (frames(body_pose=[[0, 0, 0]] * 7), "body"),
    "no root.json": (frames(root_pose=None), "root_orient"),
    "ours.json": (b'{"pose": [[0, 0, 0]], "transl": [0, 0, 0]}', "55, 3"),
    "latin.json": ('{"root_pose": "ü"}'.encode("latin-1"), "JSON"),
    "evil.pkl": (b"\x80\x04cos\nsystem\n.", "Pickles"),
    "no ending": (b"x", "without an ending"),
    "film.mp4": (b"x", "a file .mp4"),
}


@pytest.mark.parametrize("name", WRONG_MOTIONS)
def test_a_wrong_motion_says_what_and_where(tmp_path, skeleton, name, capfd):
    data, says = WRONG_MOTIONS[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=says) as caught:
        import_motion(tmp_path / name, skeleton)
    text = str(caught.value)
    assert name in text and text.isprintable() and "allow_pickle" not in text
    assert "a pickle was run" not in capfd.readouterr().out


def test_motions_that_are_no_files(tmp_path, skeleton):
    os.mkfifo(tmp_path / "pipe.npz")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "folder" / "1.json")
    for path in (tmp_path / "pipe.npz", tmp_path / "folder"):
        with pytest.raises(ToolkitError, match="pipe|regular"):
            import_motion(path, skeleton)
    for path in ("", "x" * 300, "a\0b", tmp_path / "none.npz", "Walk"):
        with pytest.raises((MissingFileError, InputError)):
            import_motion(path, skeleton)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), 1e9])
def test_frame_rates_that_do_not_exist(skeleton, tmp_path, fps):
    (tmp_path / "a.npz").write_bytes(FINE["a.npz"])
    with pytest.raises(InputError, match="fps"):
        import_motion(tmp_path / "a.npz", skeleton, fps=fps)


def test_a_basis_of_hands_is_checked_too(skeleton, tmp_path):
    (tmp_path / "m.npz").write_bytes(
        npz({"root_orient": ROW[:, :3], "pose_hand": np.zeros((T, 25))})
    )
    basis = {
        f"hands_{k}{s}": np.zeros((45, 45) if k[0] == "c" else 45)
        for s in "lr"
        for k in ("components", "mean")
    }
    for arrays, says in (
        (basis, "25 numbers"),
        (basis | {"hands_meanl": np.zeros(44)}, "hands_meanl"),
        ({}, "hands_componentsl"),
    ):
        (tmp_path / "hands.npz").write_bytes(npz(arrays))
        with pytest.raises(InputError, match=says):
            import_motion(tmp_path / "m.npz", skeleton, hands=tmp_path / "hands.npz")
