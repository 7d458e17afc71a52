"""The body: layout, skinning against the reference package, keypoints, wrong files."""

import numpy as np
import pytest
import torch

from toolkit.body.model import JOINT_NAMES, joint_transforms, lbs
from toolkit.body.motion import a_pose
from toolkit.body.npz import load_body
from toolkit.body.rotations import rodrigues
from toolkit.errors import InputError, MissingFileError, ToolkitError

SKIN = 13_380


@pytest.fixture(scope="module")
def body():
    return load_body()


def random_arguments(body, seed=0):
    g = torch.Generator().manual_seed(seed)
    return (
        torch.randn(body.num_betas, generator=g),
        0.4 * torch.randn(55, 3, generator=g),
        torch.randn(3, generator=g),
        torch.rand(10, generator=g),
    )


def fake_smplx_arrays(num_vertices=10_475, columns=400, seed=0):
    """Random arrays of the licensed file's size, with a real tree and real pose correctives."""
    rng = np.random.default_rng(seed)
    weights = rng.random((num_vertices, 55), np.float32) ** 8
    posedirs = np.zeros((num_vertices, 3, 486), np.float32)
    posedirs[..., ::9] = 0.01 * rng.random((num_vertices, 3, 54), np.float32)
    regressor = rng.random((55, num_vertices), np.float32) ** 8
    face = {"lmk_faces_idx": np.zeros(51, np.int64), "lmk_bary_coords": np.full((51, 3), 1 / 3)}
    hands = {
        f"hands_{k}{s}": v
        for s in "lr"
        for k, v in (("components", np.eye(45)), ("mean", np.zeros(45)))
    }
    parents = load_body().parents.numpy().astype(np.uint32)  # root: 2^32 - 1
    return {
        "v_template": rng.normal(size=(num_vertices, 3)),
        "f": rng.integers(0, num_vertices, (200, 3)).astype(np.uint32),
        "shapedirs": 0.03 * rng.random((num_vertices, 3, columns), np.float32),
        "posedirs": posedirs,
        "J_regressor": regressor / regressor.sum(1, keepdims=True),
        "weights": weights / weights.sum(1, keepdims=True),
        "kintree_table": np.stack([parents, np.arange(55, dtype=np.uint32)]),
        **face,
        **hands,
    }


def smplx_model(path, tmp_path, **options):
    smplx = pytest.importorskip("smplx")
    folder = tmp_path / "smplx"
    folder.mkdir()
    (folder / "SMPLX_NEUTRAL.npz").symlink_to(path)
    return smplx.create(
        str(tmp_path),
        model_type="smplx",
        ext="npz",
        gender="neutral",
        use_pca=False,
        flat_hand_mean=True,
        num_expression_coeffs=10,
        **options,
    )


def run_smplx(model, betas, pose, transl, expression):
    row = lambda *r: pose[slice(*r)].reshape(1, -1)  # noqa: E731
    return model(
        betas=betas[None],
        expression=expression[None],
        transl=transl[None],
        global_orient=row(0, 1),
        body_pose=row(1, 22),
        jaw_pose=row(22, 23),
        leye_pose=row(23, 24),
        reye_pose=row(24, 25),
        left_hand_pose=row(25, 40),
        right_hand_pose=row(40, 55),
    )


def test_default_body_is_a_person_in_t_pose(body):
    joints = dict(zip(JOINT_NAMES, body.rest_joints(torch.zeros(20)), strict=True))
    skin = body.v_template[:SKIN]
    assert 1.5 < skin[:, 1].max() - skin[:, 1].min() < 1.9
    assert joints["pelvis"].norm() < 1e-3
    assert joints["left_wrist"][0] > 0.5 and joints["right_wrist"][0] < -0.5  # left is +x
    assert (joints["left_wrist"] - joints["left_shoulder"])[1:].abs().max() < 0.01
    assert joints["left_foot"][2] > joints["left_ankle"][2] + 0.05  # faces +z
    assert joints["head"][1] > joints["neck"][1] > joints["left_hip"][1] > joints["left_knee"][1]


def test_joint_order_is_the_files(body):
    assert tuple(body.extra["joint_names"]) == JOINT_NAMES


def test_skinning_weights_and_regressor_are_averages(body):
    assert torch.equal(body.lbs_weights.sum(1), torch.ones(len(body.v_template)))
    assert body.lbs_weights.min() >= 0
    assert torch.allclose(body.J_regressor.sum(1), torch.ones(55), atol=1e-6)


def test_skinning_weights_are_smooth(body):
    edges = torch.cat([body.faces_body[:, [0, 1]], body.faces_body[:, [1, 2]]])
    jump = (body.lbs_weights[edges[:, 0]] - body.lbs_weights[edges[:, 1]]).abs().sum(1) / 2
    assert jump.quantile(0.99) < 0.3 and jump.mean() < 0.07


def test_same_as_smplx_on_our_body(body, tmp_path):
    from toolkit.run.files import model_path

    model = smplx_model(model_path("body.npz", made_by=""), tmp_path, num_betas=20)
    betas, pose, transl, expression = random_arguments(body)
    theirs = run_smplx(model, betas, pose, transl, expression)
    ours = body(betas, pose, transl, expression)
    assert (theirs.vertices[0] - ours.vertices).abs().max() < 1e-6
    assert (theirs.joints[0, :55] - ours.joints).abs().max() < 1e-6


@pytest.mark.parametrize("columns", [400, 20])
def test_same_as_smplx_on_a_licensed_size(columns, tmp_path):
    path = tmp_path / "licensed.npz"
    arrays = fake_smplx_arrays(columns=columns)
    pickled = {"part2num": np.array({"a": 1}, dtype=object)}  # as in official files; stays closed
    np.savez(path, **arrays, **pickled)
    num_betas = 20 if columns == 400 else 10
    body = load_body(path)
    assert body.num_betas == num_betas and len(body.v_template) == 10_475
    np.savez(path.with_name("plain.npz"), **arrays)
    model = smplx_model(path.with_name("plain.npz"), tmp_path, num_betas=num_betas)
    betas, pose, transl, expression = random_arguments(body)
    theirs = run_smplx(model, betas, pose, transl, expression)
    ours = body(betas, pose, transl, expression)
    scale = ours.vertices.abs().max()
    assert (theirs.vertices[0] - ours.vertices).abs().max() < 1e-6 * scale
    assert (theirs.joints[0, :55] - ours.joints).abs().max() < 1e-6 * scale


def test_zero_pose_moves_nothing(body):
    betas = random_arguments(body)[0]
    out = body(betas, torch.zeros(55, 3))
    assert (out.vertices - body.shaped(betas)).abs().max() < 1e-6
    assert (out.transforms - torch.eye(4)).abs().max() < 1e-6


def test_transforms_carry_vertices_and_joints(body):
    betas, pose, transl, _ = random_arguments(body)
    out = body(betas, pose, transl)
    assert torch.allclose(
        lbs(body.shaped(betas), body.lbs_weights, out.transforms), out.vertices, atol=1e-5
    )
    rest = torch.cat([body.rest_joints(betas), torch.ones(55, 1)], dim=1)
    assert torch.allclose((out.transforms @ rest[..., None])[:, :3, 0], out.joints, atol=1e-5)


def test_regressed_joints_of_the_posed_mesh_are_the_joints(body):
    out = body(*random_arguments(body)[:2])
    distance = (body.J_regressor @ out.vertices - out.joints).norm(dim=1)
    shared = JOINT_NAMES.index(
        "head"
    )  # lies half way to the neck's cube, which moves with the neck
    assert distance[shared] < 0.02
    assert distance[torch.arange(55) != shared].max() < 1e-4


def test_gradients_reach_shape_and_pose(body):
    betas, pose = (torch.zeros(20, requires_grad=True), torch.zeros(55, 3, requires_grad=True))
    body(betas, pose).vertices.square().sum().backward()
    assert torch.isfinite(pose.grad).all() and torch.isfinite(betas.grad).all()
    assert pose.grad.abs().sum() > 0 and betas.grad.abs().sum() > 0


def test_rodrigues_is_a_rotation_with_the_right_gradient():
    turns = torch.tensor(
        [[0.0, 0, 0], [1e-6, 0, 0], [0, 3.1, 0], [1.0, -2.0, 0.5]], dtype=torch.float64
    )
    R = rodrigues(turns)
    assert torch.allclose(R @ R.mT, torch.eye(3).double().expand(4, 3, 3), atol=1e-12)
    assert torch.allclose(
        R,
        torch.linalg.matrix_exp(
            torch.stack(
                [torch.linalg.cross(turns, e.expand(4, 3)) for e in torch.eye(3).double()], dim=-1
            )
        ),
    )
    assert torch.autograd.gradcheck(rodrigues, turns.clone().requires_grad_())


def test_a_chain_of_three_bends_like_a_finger():
    joints = torch.tensor([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]])
    quarter = rodrigues(torch.tensor([[0, 0, 0], [0, 0, torch.pi / 2], [0, 0, 0]]))
    transforms = joint_transforms(quarter, joints, torch.tensor([-1, 0, 1]))
    tip = lbs(torch.tensor([[3.0, 0, 0]]), torch.tensor([[0.0, 0, 1]]), transforms)
    assert torch.allclose(tip, torch.tensor([[1.0, 2, 0]]), atol=1e-6)


def test_random_shapes_are_plausible_people(body):
    g = torch.Generator().manual_seed(0)
    heights = torch.stack(
        [
            (s := body.shaped(torch.randn(20, generator=g))[:SKIN, 1]).max() - s.min()
            for _ in range(60)
        ]
    )
    assert 1.6 < heights.mean() < 1.8 and 0.05 < heights.std() < 0.15
    assert heights.min() > 1.3 and heights.max() < 2.1


def test_named_directions_do_what_they_say(body):
    def size(**named):
        vertices = body.shaped(body.named_betas(**named))[:SKIN]
        torso = vertices[torch.from_numpy(body.extra["part"][:SKIN] == 0)]
        return float(vertices[:, 1].max() - vertices[:, 1].min()), float(
            torso[:, 2].max() - torso[:, 2].min()
        )

    assert size(height=1.0)[0] > size(height=0.0)[0] + 0.3
    assert size(gender=1.0)[0] > size(gender=0.0)[0] + 0.08
    assert size(weight=1.0)[1] > size(weight=0.0)[1] + 0.08
    assert size(child=1.0)[0] < size(child=0.0)[0] - 0.1
    with pytest.raises(InputError, match="wingspan"):
        body.named_betas(wingspan=1.0)


def test_layers_follow_the_body(body):
    assert {"tights", "skirt", "hair", "lashes", "mouth", "cavity"} == set(body.layers)
    betas = body.named_betas(weight=1.0)
    for name in ("tights", "skirt"):
        ids = body.layers[name].unique()
        assert (body.shaped(betas) - body.v_template)[ids].norm(dim=1).max() > 0.02
    assert body.faces_body.max() < len(body.v_template) and len(body.faces_body) > 20_000


def test_keypoints_lie_where_their_names_say(body):
    out = body(torch.zeros(20), a_pose())
    points = dict(
        zip(
            body.extra["blazepose33_names"],
            torch.from_numpy(body.extra["blazepose33"]) @ out.vertices,
            strict=True,
        )
    )
    joints = dict(zip(JOINT_NAMES, out.joints, strict=True))
    assert all(
        (points[n] - joints[n]).norm() < 1e-3 for n in ("left_shoulder", "right_hip", "left_knee")
    )
    assert points["nose"][2] > points["left_eye"][2] > points["left_ear"][2]
    assert points["left_ear"][0] > points["left_eye_outer"][0] > points["left_eye"][0]
    assert points["left_eye"][0] > points["left_eye_inner"][0] > 0 > points["right_eye_inner"][0]
    assert points["left_eye"][1] > points["nose"][1] > points["mouth_left"][1]
    assert points["left_foot_index"][2] > points["left_ankle"][2] > points["left_heel"][2]
    assert points["left_index"][1] < points["left_wrist"][1]


def test_expressions_move_the_face_only(body):
    moved = body.expr_dirs.norm(dim=1).amax(1)
    head = body.lbs_weights[:, [12, 15, 22, 23, 24]].sum(1) > 0.5
    assert body.expr_dirs.shape[2] >= 10 and moved[head].max() > 0.01 and moved[~head].max() < 5e-3


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda a: a.pop("weights"), "weights"),
        (lambda a: a.update(J_regressor=a["J_regressor"][:24]), "55"),
        (lambda a: a.update(kintree_table=a["kintree_table"][:, :52]), "55"),
        (lambda a: a.update(v_template=a["v_template"][:40]), "vertices"),
        (lambda a: a.update(v_template=a["v_template"] * np.nan), "NaN"),
        (lambda a: a.update(weights=np.array([{}], dtype=object)), "plain arrays"),
    ],
)
def test_a_wrong_file_gives_one_clear_error(change, message, tmp_path):
    arrays = fake_smplx_arrays(num_vertices=60, columns=20)
    change(arrays)
    np.savez(tmp_path / "body.npz", **arrays)
    with pytest.raises(InputError, match=message):
        load_body(tmp_path / "body.npz")


def test_not_a_file_and_not_an_npz(tmp_path):
    with pytest.raises(MissingFileError, match="does not exist"):
        load_body(tmp_path / "no.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(InputError, match="SMPL-X layout"):
        load_body(tmp_path / "text.npz")


@pytest.mark.parametrize(
    "betas, pose",
    [
        (torch.full((20,), torch.nan), torch.zeros(55, 3)),
        (torch.zeros(21), torch.zeros(55, 3)),
        (torch.zeros(1, 20), torch.zeros(55, 3)),
        (torch.zeros(20), torch.zeros(24, 3)),
        (torch.zeros(20), torch.full((55, 3), torch.inf)),
    ],
)
def test_wrong_arguments_give_one_clear_error(body, betas, pose):
    with pytest.raises(ToolkitError, match="got .*wanted"):
        body(betas, pose)
