"""The small LHM: what the photo says about each anchor, and the Gaussians made from it."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from toolkit.body.anchors import sample_anchors
from toolkit.body.motion import a_pose
from toolkit.body.npz import load_body
from toolkit.body.rig import Rig, pose_gaussians
from toolkit.body.rotations import rodrigues
from toolkit.cameras import orbit_cameras
from toolkit.coarse import small
from toolkit.coarse.from_photo import load_coarse, predict, save_coarse
from toolkit.coarse.observation import farthest_points, lay_out, observe
from toolkit.coarse.repaint import repaint
from toolkit.coarse.small import AnchorTransformer
from toolkit.errors import InputError, MissingFileError
from toolkit.photo.crop import crop_photo, sample_bilinear
from toolkit.render.api import render
from toolkit.render.mesh import rasterize_mesh
from toolkit.run.files import DATA_DIR


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def anchors(body):
    return sample_anchors(body, num=1500)


@pytest.fixture(scope="module")
def photo(body):
    """A body in the A-pose, coloured by a smooth gradient; image, mask and body estimate."""
    camera = orbit_cameras([0.0], [0.0], radius_m=4.0, fov_y_deg=30.0, size=(200, 160))
    betas = torch.zeros(body.num_betas)
    transl = -body.rest_joints(betas)[0]
    vertices = body(betas, a_pose(), transl).vertices
    mask = torch.from_numpy(rasterize_mesh(vertices.numpy(), np.asarray(body.faces), camera).mask)
    y, x = torch.meshgrid(torch.linspace(0, 1, 200), torch.linspace(0, 1, 160), indexing="ij")
    image = torch.stack([x, y, 1 - x], dim=-1)
    guess = SimpleNamespace(betas=betas, pose=a_pose(), transl=transl, camera=camera)
    return SimpleNamespace(image=image, mask=mask.float(), guess=guess)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return AnchorTransformer(dim=32, num_heads=2, num_blocks=2, num_tokens=64)


@pytest.fixture(scope="module")
def prepared(photo, body, anchors, model):
    crop = crop_photo(photo.image, photo.mask, photo.guess.camera)
    return (crop, lay_out(anchors, model.num_tokens), observe(crop, photo.guess, body, anchors))


def shaken(model, seed=1):
    """The same network with heads that are no longer zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for head in (model.shape, model.color[-1]):
            head.weight.copy_(0.1 * torch.randn(head.weight.shape, generator=generator))
    return model


def test_crop_keeps_points_on_their_colours(photo, prepared):
    crop, _, seen = prepared
    where = seen.visible
    (full,), _ = photo.guess.camera.project(seen.posed[where])
    (cut,), _ = crop.camera.project(seen.posed[where])
    inside = sample_bilinear(crop.mask[None], cut)[:, 0] > 0.95
    truth = full / torch.tensor([160.0, 200.0])
    got = sample_bilinear(crop.rgb, cut)[:, :2]
    assert inside.float().mean() > 0.7
    assert (got - truth)[inside].abs().max() < 0.02


def test_crop_reaches_over_the_border(photo):
    shifted = photo.mask.roll(70, dims=1)
    shifted[:, :70] = 0
    crop = crop_photo(photo.image, shifted, photo.guess.camera)
    assert crop.rgb.shape == (3, 256, 256) and crop.rgb.isfinite().all()
    assert crop.mask[:, 0].max() == 0


def test_contour_vectors_lead_to_the_other_side(prepared):
    crop = prepared[0]
    y, x = torch.nonzero((crop.mask < 0.5) & (crop.known > 0), as_tuple=True)
    step = crop.to_inside_px[:, y, x].long()
    assert (crop.mask[y + step[1], x + step[0]] >= 0.5).all()
    assert crop.to_inside_px[:, crop.mask >= 0.5].abs().max() == 0


def test_below_a_cut_photo_nothing_is_known(photo, body, anchors):
    top = photo.mask[:120].clone()
    camera = replace(photo.guess.camera, height=120)
    crop = crop_photo(photo.image[:120], top, camera)
    below = int(
        (120 - camera.Ks[0, 1, 2]) * crop.camera.Ks[0, 1, 1] / camera.Ks[0, 1, 1]
        + crop.camera.Ks[0, 1, 2]
    )
    assert 200 < below < 256
    assert crop.known[below - 3].max() == 1 and crop.known[below + 1 :].max() == 0
    assert crop.to_inside_px[:, below + 1 :].abs().max() == 0
    seen = observe(crop, photo.guess, body, anchors)
    (pixels,), _ = crop.camera.project(seen.posed)
    assert pixels[seen.visible, 1].max() < below + 1 < pixels[:, 1].max()


def test_only_the_front_is_seen(prepared, anchors):
    seen = prepared[2]
    assert 0.2 < seen.visible.float().mean() < 0.55
    assert (seen.motions.rotations @ anchors.normals[..., None])[seen.visible, 2, 0].min() > -0.2


def test_a_person_turned_round_shows_other_anchors(photo, body, anchors, prepared):
    crop = prepared[0]
    turned = photo.guess.pose.clone()
    turned[0] = torch.tensor([0.0, torch.pi, 0.0])  # now the back is to the camera
    seen = observe(crop, SimpleNamespace(**{**vars(photo.guess), "pose": turned}), body, anchors)
    both = seen.visible & prepared[2].visible
    assert both.float().mean() < 0.05


def test_layout_is_a_partition_of_unity_and_mirrors(prepared, anchors):
    layout = prepared[1]
    assert torch.allclose(layout.weights.sum(1), torch.ones(len(layout.points)))
    assert len(layout.tokens.unique()) == 64
    flipped = layout.points[layout.mirror] * torch.tensor([-1.0, 1, 1])
    assert (flipped - layout.points).norm(dim=-1).median() < 2 * layout.spacing.median()


def test_farthest_points_spread():
    grid = np.stack(np.meshgrid(np.arange(10.0), np.arange(10.0), [0.0]), -1).reshape(-1, 3)
    chosen = grid[farthest_points(grid, 4)]
    gaps = np.linalg.norm(chosen[:, None] - chosen[None], axis=-1) + 99 * np.eye(4)
    assert gaps.min() >= 8  # about the four corners


@pytest.mark.parametrize("num", [700, 2500])
def test_any_number_of_anchors(num, photo, body, model):
    gaussians = predict(
        model, photo.image, photo.mask, photo.guess, body, sample_anchors(body, num=num)
    )
    assert len(gaussians) == num
    assert all(v.isfinite().all() for v in vars(gaussians).values())
    assert gaussians.scales.min() >= small.MIN_SCALE_M
    assert gaussians.scales.max() <= small.MAX_SCALE_M
    assert torch.allclose(gaussians.quats.norm(dim=-1), torch.ones(num), atol=1e-5)


def test_untrained_model_paints_the_photo(photo, body, anchors, prepared):
    fresh = AnchorTransformer(dim=32, num_heads=2, num_blocks=1, num_tokens=64)
    gaussians = predict(fresh, photo.image, photo.mask, photo.guess, body, anchors)
    crop, _, seen = prepared
    assert (gaussians.means - seen.rest).norm(dim=-1)[seen.visible].max() < 0.01
    (pixels,), _ = crop.camera.project(seen.posed)
    error = (gaussians.colors - sample_bilinear(crop.rgb, pixels)).abs().max(dim=1).values
    assert error[seen.visible].quantile(0.98) < 0.05


def test_repaint_undoes_the_blur_of_the_splats(photo, body, anchors, prepared):
    crop, layout, seen = prepared
    stripes = ((torch.arange(256) // 14) % 2).float().expand(3, 256, 256)  # 10 cm wide
    crop = replace(crop, rgb=stripes)
    fresh = AnchorTransformer(dim=32, num_heads=2, num_blocks=1, num_tokens=64)
    with torch.no_grad():
        posed = seen.motions.apply(fresh(crop, layout, seen))
        (pixels,), _ = crop.camera.project(posed.means)
        posed = posed.recolored(sample_bilinear(stripes, pixels))
        errors = []
        for num in (0, 1, 3):
            colors = repaint(posed, crop, num_corrections=num)
            drawn = render(posed.recolored(colors), crop.camera, background=(0.0, 0.0, 0.0))
            off = (drawn.rgb[0] - drawn.alpha[0] * stripes.permute(1, 2, 0)) * crop.mask[..., None]
            errors.append(off.square().sum().item())
    assert torch.equal(repaint(posed, crop, num_corrections=0), posed.colors)
    assert errors[1] < 0.8 * errors[0] and errors[2] < 0.7 * errors[0]
    hidden = (repaint(posed, crop) - posed.colors).abs().amax(1) < 1e-3
    away = (seen.to_camera * layout.normals).sum(-1) < -0.3
    assert hidden[away].float().mean() > 0.8 and hidden.float().mean() < 0.9


def test_motions_of_the_photo_are_pose_gaussians(photo, body, anchors, prepared, model):
    crop, layout, seen = prepared
    with torch.no_grad():
        gaussians = shaken(model)(crop, layout, seen)
        rig = Rig.build(body, anchors, photo.guess.betas)
        want = pose_gaussians(gaussians, rig, photo.guess.pose, photo.guess.transl)
        got = seen.motions.apply(gaussians)
    assert torch.allclose(got.means, want.means, atol=1e-5)
    turned = (got.quats * want.quats).sum(-1).abs()
    assert torch.allclose(turned, torch.ones_like(turned), atol=1e-5)


def test_offsets_are_bounded(photo, body, anchors, prepared, model):
    wild = shaken(AnchorTransformer(dim=32, num_heads=2, num_blocks=1, num_tokens=64))
    with torch.no_grad():
        wild.shape.weight.mul_(1000)
    gaussians = predict(wild, photo.image, photo.mask, photo.guess, body, anchors)
    offset = (gaussians.means - prepared[2].rest).abs().max()
    assert 0.9 * small.MAX_OFFSET_M < offset <= small.MAX_OFFSET_M + 1e-6


def test_same_photo_same_gaussians_and_background_is_ignored(photo, body, anchors, model):
    shaken(model)
    first = predict(model, photo.image, photo.mask, photo.guess, body, anchors)
    noise = torch.rand(photo.image.shape, generator=torch.Generator().manual_seed(0))
    behind = torch.where(photo.mask[..., None] > 0, photo.image, noise)
    for image in (photo.image, behind):
        again = predict(model, image, photo.mask, photo.guess, body, anchors)
        assert torch.equal(first.means, again.means) and torch.equal(first.sh, again.sh)
    other = predict(model, 1 - photo.image, photo.mask, photo.guess, body, anchors)
    assert not torch.allclose(first.means, other.means)


def test_gradient_reaches_every_parameter(prepared, model):
    g = shaken(model)(*prepared)
    model.zero_grad()
    sum(((i + 1) * v.sin()).sum() for i, v in enumerate(vars(g).values())).backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
    assert silent == []


def test_save_and_load(tmp_path):
    model = shaken(AnchorTransformer())
    save_coarse(model, tmp_path / "c.safetensors")
    loaded = load_coarse(tmp_path / "c.safetensors")
    assert all(
        torch.equal(a, b)
        for a, b in zip(model.state_dict().values(), loaded.state_dict().values(), strict=True)
    )
    with pytest.raises((MissingFileError, FileNotFoundError)):
        load_coarse(tmp_path / "absent.safetensors")


BAD = ["nan", "channels", "mask shape", "nobody", "joints", "nan pose"]


@pytest.mark.parametrize("change", BAD)
def test_bad_input_is_named(change, photo, body, anchors, model):
    image, mask, guess = photo.image.clone(), photo.mask, SimpleNamespace(**vars(photo.guess))
    if change == "nan":
        image[0, 0, 0] = float("nan")
    elif change == "channels":
        image = image[..., :2]
    elif change == "mask shape":
        mask = mask[:-1]
    elif change == "nobody":
        mask = torch.zeros_like(mask)
    elif change == "joints":
        guess.pose = guess.pose[:24]
    else:
        guess.pose = guess.pose * float("nan")
    with pytest.raises(InputError, match="wanted"):
        predict(model, image, mask, guess, body, anchors)


def test_quaternions_turn_z_onto_normals():
    normals = torch.nn.functional.normalize(
        torch.cat(
            [
                torch.randn(50, 3, generator=torch.Generator().manual_seed(0)),
                torch.tensor([[0, 0, 1.0], [0, 0, -1.0]]),
            ]
        ),
        dim=-1,
    )
    q = small._align_z(normals)
    half = torch.atan2(q[:, 1:].norm(dim=-1), q[:, 0])
    axis = torch.nn.functional.normalize(q[:, 1:], dim=-1)
    turned = rodrigues(2 * half[:, None] * axis)[:, :, 2]
    assert torch.allclose(turned, normals, atol=1e-5)


def test_unseen_is_filled_from_the_seen_surroundings(prepared):
    _, layout, seen = prepared
    constant = torch.tensor([0.2, 0.5, 0.7]).expand(len(layout.points), 3)
    assert torch.allclose(small.fill_unseen(constant, seen.visible, layout), constant, atol=1e-4)
    height = layout.points[:, 1:2].expand(-1, 3)
    filled = small.fill_unseen(height, seen.visible, layout)
    assert torch.corrcoef(torch.stack([filled[:, 0], height[:, 0]]))[0, 1] > 0.95
    nobody = small.fill_unseen(constant, torch.zeros_like(seen.visible), layout)
    assert nobody.isfinite().all()


def test_hidden_hair_takes_nothing_from_the_face(prepared):
    _, layout, seen = prepared
    red = seen.face[:, None] * torch.tensor([1.0, 0.0, 0.0])
    hidden_scalp = seen.scalp & ~seen.visible
    assert hidden_scalp.sum() > 50 and (seen.face & seen.visible).sum() > 50
    assert small.fill_unseen(red, seen.visible, layout)[hidden_scalp, 0].max() > 0.3
    filled = small._fill(red, seen, layout)
    assert filled[hidden_scalp].max() < 1e-6
    others = ~hidden_scalp
    assert torch.equal(filled[others], small.fill_unseen(red, seen.visible, layout)[others])
    only_face = replace(seen, visible=seen.visible & seen.face)
    assert small._fill(red, only_face, layout)[hidden_scalp, 0].min() > 0.9


@pytest.mark.skipif(not (DATA_DIR / "models" / "coarse.safetensors").is_file(), reason="no weights")
def test_trained_model_beats_mean_fill_on_unseen_people(body):
    from toolkit.people.draw.render import render_person
    from toolkit.people.sample import sample_person

    anchors, gains = sample_anchors(body, num=8000), []
    for seed in (1_000_000, 1_000_001):
        person = sample_person(seed, split="val")
        camera = person.photo_camera.resized(160, 160)
        shot = render_person(person, camera, supersample=2)
        guess = SimpleNamespace(
            betas=person.betas,
            pose=person.pose,
            camera=camera,
            transl=-body.rest_joints(person.betas)[0],
        )
        got = predict(load_coarse(), shot.rgb[0], shot.alpha[0, ..., 0], guess, body, anchors)
        views = orbit_cameras([90.0, 180.0], [0.0, 0.0], radius_m=5.0, size=(96, 48))
        truth = render_person(person, views, pose=a_pose(), transl=guess.transl, supersample=2)
        inside = truth.alpha.expand(-1, -1, -1, 3) > 0.99
        mean = shot.rgb[0][shot.alpha[0, ..., 0] > 0.99].mean(0).expand_as(truth.rgb)
        seen = pose_gaussians(got, Rig.build(body, anchors, person.betas), a_pose(), guess.transl)
        errors = [((x - truth.rgb)[inside] ** 2).mean() for x in (render(seen, views).rgb, mean)]
        gains.append(10 * torch.log10(errors[1] / errors[0]))
    assert sum(gains) / len(gains) > 3.0, f"{gains} dB over the photo's mean colour"
