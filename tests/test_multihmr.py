"""Multi-HMR: equal to naver/multi-hmr, safe with its files, and a body that lies on the photo."""

import argparse
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_photo_fit import SIZE, photograph, silhouette

from toolkit.body.motion import a_pose
from toolkit.body.npz import load_body
from toolkit.body.rotations import matrix_to_axis_angle, rodrigues
from toolkit.errors import InputError, MissingFileError
from toolkit.photo.multihmr.fit import (
    REFINE_STAGES,
    body_transl,
    fit_body_multihmr,
    pelvis_of,
    square_picture,
)
from toolkit.photo.multihmr.head import rotations_from_6d
from toolkit.photo.multihmr.model import Human, MultiHMR, MultiHMRConfig, default_camera, to_pose
from toolkit.photo.multihmr.weights import load_multihmr, save_multihmr, tiny_multihmr
from toolkit.photo.smplify.points import NUM_SMPLX_VERTICES, point_regressor
from toolkit.photo.smplify.reduced_body import (
    ReducedBody,
    cloth_thickness,
    to_body_joints,
    vertex_normals,
)
from toolkit.photo.smplify.unknowns import VIEW

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def golden():
    """Upstream's answers, and our net with the weights of that run (numpy's frozen generator)."""
    model, random = tiny_multihmr(), np.random.RandomState(7)
    state = model.state_dict()
    for key in sorted(state):
        flat = state[key].ndim == 1 or "init_" in key
        scale = 0.35 if flat else 1.0 / state[key].shape[-1] ** 0.5
        values = random.standard_normal(tuple(state[key].shape)) * scale
        state[key] = torch.from_numpy(values.astype(np.float32))
    model.load_state_dict(state)
    image = torch.from_numpy(random.uniform(size=(3, 112, 112)).astype(np.float32))
    return model, image, np.load(FIXTURES / "multihmr_golden.npz")


@pytest.mark.parametrize("camera", [0, 1])
def test_answers_equal_upstream(golden, body, camera):
    """All people of a picture, with the training's camera and with another one."""
    model, image, wanted = golden
    humans = model(image, torch.from_numpy(wanted["Ks"][camera]))
    assert len(humans) == len(wanted[f"scores_{camera}"]) == 8
    for name, field in (
        ("scores", "score"),
        ("loc", "head_px"),
        ("rotvec", "rotvec"),
        ("shape", "betas"),
        ("expression", "expression"),
        ("transl", "head"),
    ):
        ours = np.array([np.asarray(getattr(h, field)) for h in humans])
        np.testing.assert_allclose(ours, wanted[f"{name}_{camera}"], atol=1e-4, err_msg=name)
    pelvis = [pelvis_of(h.pose, h.betas, h.head, body, h.expression) for h in humans]
    np.testing.assert_allclose(
        torch.stack(pelvis), wanted[f"transl_pelvis_{camera}"][:, 0], atol=1e-4
    )


def test_both_conventions_of_transl_pelvis_give_the_same_body(body):
    """Upstream stores the posed pelvis joint, LHM's fork the translation."""
    body = replace(body, v_template=body.v_template - torch.tensor([0, 0.35, 0]))  # as in SMPL-X
    generator = torch.Generator().manual_seed(0)
    betas, transl = torch.randn(10, generator=generator), torch.tensor([0.2, -0.1, 3.0])
    joint = body(betas, a_pose(), transl).joints[0]
    from_joint = body_transl(joint, betas, body, convention="naver")
    assert torch.allclose(from_joint, transl, atol=1e-6)
    assert torch.equal(body_transl(transl, betas, body, convention="lhm"), transl)
    assert (joint - transl).norm() == pytest.approx(0.35, abs=0.05)  # what mixing them up costs
    with pytest.raises(InputError, match="naver"):
        body_transl(joint, betas, body, convention="smplx")


def test_names_and_shapes_are_those_of_the_released_net():
    """The 896 L net without the body's own buffers; built without memory."""
    with torch.device("meta"):
        state = MultiHMR(MultiHMRConfig()).state_dict()
    ours = [f"{k} {'x'.join(map(str, v.shape))}" for k, v in sorted(state.items())]
    assert ours == (FIXTURES / "multihmr_896_L_keys.txt").read_text().splitlines()


def test_order_of_joints():
    pose = to_pose(torch.arange(53.0)[:, None].repeat(1, 3))[:, 0].tolist()
    assert pose == [*range(22), 52, 0, 0, *range(22, 52)]


def test_6d_rotations_are_rotations_and_keep_their_columns():
    turn = rodrigues(torch.randn(20, 3, generator=torch.Generator().manual_seed(1)))
    sixes = turn[:, :, :2].mT.flatten(1)
    torch.testing.assert_close(rotations_from_6d(sixes), turn)
    torch.testing.assert_close(rotations_from_6d(3 * sixes), turn)


def test_nobody_and_a_wrong_size(golden):
    model, image, _ = golden
    assert model(image, threshold=1.0) == []
    assert len(model(image, nms=1)) == 64  # without suppression every token of this net is somebody
    with pytest.raises(InputError, match="square"):
        model(image[:, :98])


def test_checkpoint_round_trip(tmp_path):
    model = tiny_multihmr(3)
    save_multihmr(model, tmp_path / "multiHMR_112_T.pt")
    save_multihmr(tiny_multihmr(4), tmp_path / "multiHMR_98_T.pt")  # the larger picture is taken
    (tmp_path / "multiHMR_672_L_anny.pt").write_bytes(b"another net")
    again = load_multihmr(tmp_path)
    assert again.config == model.config
    for key, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key
    image = torch.rand(3, 112, 112, generator=torch.Generator().manual_seed(0))
    first, second = model(image)[0], again(image)[0]
    assert first.score == second.score and torch.equal(first.rotvec, second.rotvec)


def test_a_released_file_brings_more_than_we_use(tmp_path):
    """Optimiser, epoch and the licensed body's buffers are there; late constants may be missing."""
    state = tiny_multihmr().state_dict()
    del state["x_attention_head.init_expression"]
    state["smpl_layer.neutral_10.bm_x.v_template"] = torch.zeros(10, 3)
    args = argparse.Namespace(img_size=[112, 112], nearness=True, backbone="dinov2_vitl14")
    record = {"epoch": 9, "optimizer_state_dict": {}, "model_state_dict": state, "args": args}
    torch.save(record, tmp_path / "multiHMR_112_T.pt")
    assert load_multihmr(tmp_path).config.log_distance


class Evil:
    """Its pickle asks for a call on loading."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    witness, file = tmp_path / "witness", tmp_path / "multiHMR_112_T.pt"
    torch.save({"model_state_dict": tiny_multihmr().state_dict(), "args": Evil(witness)}, file)
    with pytest.raises(InputError, match="argparse.Namespace"):
        load_multihmr(file)
    assert not witness.exists()
    file.write_bytes(pickle.dumps(Evil(witness)))
    with pytest.raises(InputError):
        load_multihmr(file)
    assert not witness.exists()


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(MissingFileError, match="naverlabs"):
        load_multihmr(tmp_path)
    state = tiny_multihmr().state_dict()
    del state["x_attention_head.decpose.weight"]
    torch.save({"model_state_dict": state, "args": argparse.Namespace()}, tmp_path / "a.pt")
    with pytest.raises(InputError, match="decpose"):
        load_multihmr(tmp_path / "a.pt")
    state = {k: v for k, v in state.items() if not k.startswith("x_attention_head")}
    torch.save({"model_state_dict": state, "args": argparse.Namespace()}, tmp_path / "b.pt")
    with pytest.raises(InputError, match="Anny"):
        load_multihmr(tmp_path / "b.pt")


def test_square_picture_says_where_the_photo_lies():
    photo = np.zeros((200, 120, 3), np.float32)
    photo[150:160, 20:30] = 1
    picture, scale, corner = square_picture(photo, 448)
    rows, cols = torch.where(picture[0] > 0.5)
    center = torch.stack([cols.float().mean() + 0.5, rows.float().mean() + 0.5])
    torch.testing.assert_close(
        (center - corner) / scale, torch.tensor([25.0, 155.0]), atol=0.3, rtol=0
    )
    assert scale == pytest.approx(448 / 240)


def test_the_nets_60_degrees_are_fewer_over_the_photo():
    """What `fit_body_multihmr` says about its default camera: the border is a part of the 60."""
    _, scale, _ = square_picture(np.zeros((200, 120, 3), np.float32), 896)
    focal_px = float(default_camera(896)[0, 0]) / scale
    over_photo = 2 * np.degrees(np.arctan(200 / 2 / focal_px))
    assert over_photo == pytest.approx(51.4, abs=0.05)
    assert f"{over_photo:.1f}" in fit_body_multihmr.__doc__


class NetThatErrs(torch.nn.Module):
    """Stands for a trained net: the true person with errors of the usual size."""

    def __init__(self, truth, body, seed):
        super().__init__()
        self.config, self.scale = MultiHMRConfig(), torch.nn.Parameter(torch.ones(1))
        self.truth, self.body, self.generator = truth, body, torch.Generator().manual_seed(seed)

    def noise(self, *shape):
        return torch.randn(shape, generator=self.generator)

    def forward(self, image):
        betas, pose, camera = self.truth
        pose = pose.clone()
        pose[0] = torch.from_numpy(matrix_to_axis_angle((VIEW @ rodrigues(pose[0])).numpy()))
        pose[:22] += 0.08 * self.noise(22, 3)
        joints = self.body(betas, pose).joints
        offset = camera.viewmats[0, :3, 3] - joints[0]
        head = joints[15] + offset + torch.tensor([0.03, -0.03, 0.15]) * self.noise(3)
        scale = 896 / (1.2 * SIZE[0])
        K = camera.Ks[0].clone()
        pixel = (K @ head)[:2] / head[2] * scale
        pixel += (896 - scale * torch.tensor([float(SIZE[1]), float(SIZE[0])])) / 2
        depth = head[2] * float(default_camera(896)[0, 0]) / (K[0, 0] * scale)
        rotvec = torch.cat([pose[:22], pose[25:], pose[22:23]])
        return [Human(0.9, pixel, rotvec, betas[:10], torch.zeros(10), depth * torch.ones(3))]


@pytest.fixture(scope="module")
def scene(body):
    """A person whose points and mask are known exactly, in a photo of known focal length."""
    clothes = cloth_thickness(to_body_joints(body))[:, None] * vertex_normals(body)
    clothed = replace(body, v_template=body.v_template + clothes)
    betas = 0.6 * torch.randn(body.num_betas, generator=torch.Generator().manual_seed(5))
    pose = a_pose().clone()
    pose[0] = torch.tensor([0.0, 0.4, 0.0])
    pose[18] = torch.tensor([0.0, -0.7, 0.0])
    pose[30] = torch.tensor([0.1, 0.2, -0.3])  # a finger, which only Multi-HMR sees
    detection, camera, _ = photograph(clothed, ReducedBody.of(body), betas, pose)
    return clothed, detection, camera, (betas, pose, camera)


def errors(fitted, scene, body):
    """Keypoints in pixels, mask IoU, and joints in metres after the pelvis is aligned."""
    clothed, detection, camera, (betas, pose, _) = scene
    points = ReducedBody.of(body).posed(fitted.betas, fitted.pose[:22])[0]
    pixels = fitted.camera.project(points)[0][0].numpy()
    ours, true = silhouette(clothed, fitted, fitted.camera), detection.mask > 0.5
    joints = [b.joints - b.joints[0] for b in (body(fitted.betas, fitted.pose), body(betas, pose))]
    return (
        float(np.linalg.norm(pixels - detection.keypoints[:, :2], axis=1).mean()),
        float((ours & true).sum() / (ours | true).sum()),
        float((joints[0] - joints[1])[:22].norm(dim=1).mean()),
    )


def test_refinement_brings_the_body_onto_the_photo(scene, body):
    _, detection, camera, truth = scene
    photo = np.zeros((*SIZE, 3), np.float32)
    focal = float(camera.Ks[0, 0, 0])
    half = tuple(replace(stage, steps=stage.steps // 2) for stage in REFINE_STAGES)
    before, after = (
        errors(
            fit_body_multihmr(
                NetThatErrs(truth, body, 0), photo, detection, body, focal_px=focal, stages=stages
            ),
            scene,
            body,
        )
        for stages in ((), half)
    )
    assert after[0] < 2.0 < before[0]  # pixels of 256
    assert after[1] > max(0.88, before[1])
    assert after[2] < 0.9 * before[2]  # also in depth, which the photo does not show


def test_photo_world_hands_and_a_known_pose(scene, body):
    """Without noise and refinement the pose comes back, turned into the photo's world."""
    _, detection, camera, truth = scene
    net = NetThatErrs(truth, body, 0)
    net.noise = lambda *shape: torch.zeros(shape)
    fitted = fit_body_multihmr(
        net,
        np.zeros((*SIZE, 3), np.float32),
        detection,
        body,
        focal_px=float(camera.Ks[0, 0, 0]),
        stages=(),
    )
    torch.testing.assert_close(rodrigues(fitted.pose), rodrigues(truth[1]), atol=1e-5, rtol=0)
    joints = body(fitted.betas, fitted.pose, fitted.transl).joints
    torch.testing.assert_close(joints[0], torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(fitted.camera.viewmats[0, :3, :3], VIEW)
    assert fitted.mask.shape == SIZE and fitted.keypoints.shape == (33, 3)


def test_random_weights_run_to_the_end(scene, body, tmp_path):
    """The dry run of the full profile: nothing it says is right, but all of it is well formed."""
    _, detection, _, _ = scene
    save_multihmr(tiny_multihmr(), tmp_path / "multiHMR_112_T.pt")
    photo = np.random.default_rng(0).uniform(size=(*SIZE, 3)).astype(np.float32)
    short = tuple(replace(stage, steps=5) for stage in REFINE_STAGES)
    fitted = fit_body_multihmr(load_multihmr(tmp_path), photo, detection, body, stages=short)
    assert torch.isfinite(fitted.pose).all() and torch.isfinite(fitted.camera.viewmats).all()
    assert float(fitted.camera.Ks[0, 0, 0]) == pytest.approx(1.2 * 256 / 2 / np.tan(np.pi / 6))
    nobody = replace(detection, keypoints=detection.keypoints + [5000.0, 0, 0])
    with pytest.raises(InputError, match="none at the detected head"):
        fit_body_multihmr(load_multihmr(tmp_path), photo, nobody, body)


def test_points_on_an_smplx_body(body):
    """Limb points are joints, the rest single vertices or landmarks; ours stays as it was."""
    num, generator = NUM_SMPLX_VERTICES, torch.Generator().manual_seed(0)
    rows = torch.rand(55, num, generator=generator)
    vertices = torch.randn(num, 3, generator=generator)
    corners = torch.stack([torch.arange(100), torch.arange(100) + 200, torch.arange(100) + 400], 1)
    licensed = replace(
        body,
        v_template=vertices,
        J_regressor=rows / rows.sum(1, keepdim=True),
        faces=corners,
        extra={"lmk_faces_idx": np.arange(51), "lmk_bary_coords": np.full((51, 3), 1 / 3)},
    )
    regressor = point_regressor(licensed)
    torch.testing.assert_close(regressor.sum(1), torch.ones(33))
    assert torch.equal(regressor[11], licensed.J_regressor[16])  # left shoulder
    assert regressor[0].nonzero().tolist() == [[9120]]  # nose
    assert regressor[31].nonzero().tolist() == [[5770]]  # left big toe
    assert regressor[9].nonzero()[:, 0].tolist() == corners[37].tolist()  # left corner of the mouth
    assert torch.equal(point_regressor(body), torch.from_numpy(body.extra["blazepose33"]))
    with pytest.raises(InputError, match="SMPLX_NEUTRAL"):
        point_regressor(replace(licensed, extra={}))
