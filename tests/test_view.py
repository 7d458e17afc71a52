"""The live viewer: sliders pose by the rig, mistakes are told, and Chromium shows the change."""

import io
import socket
import time

import numpy as np
import pytest
import torch
from PIL import Image
from small_avatar import small_avatar

from experiments.browser import Browser, chromium_path
from toolkit import cli
from toolkit.body.motion import load_clip, t_pose
from toolkit.body.rig import Avatar
from toolkit.body.rotations import rodrigues
from toolkit.errors import InputError
from toolkit.export import live_port, live_scene
from toolkit.export.subject import Subject

SCENE = np.s_[100:400, 300:560]  # of the screenshot; beside it are viser's notice and the panel


def test_a_turn_is_composed_with_the_pose():
    pose = load_clip("kick").poses[22]
    turned = live_scene.turn_joints(pose, {"left_elbow": (0.0, 90.0, 0.0)})
    expected = rodrigues(pose[18]) @ rodrigues(torch.tensor([0.0, torch.pi / 2, 0.0]))
    assert torch.allclose(rodrigues(turned[18]), expected, atol=1e-5)
    assert (turned != pose).any(1).nonzero().flatten().tolist() == [18]
    with pytest.raises(InputError, match="tail"):
        live_scene.turn_joints(pose, {"tail": (1.0, 0.0, 0.0)})


def test_betas_give_what_a_rig_of_that_shape_has():
    avatar = small_avatar()
    shape = live_scene.Shape.of(avatar.rig)
    betas = avatar.rig.betas.clone()
    betas[1] += 2
    changed = shape.change(avatar, betas)
    assert torch.allclose(changed.rig.joints, shape.body.rest_joints(betas))
    offset = avatar.gaussians.means - avatar.rig.anchors_rest
    assert torch.allclose(changed.gaussians.means - changed.rig.anchors_rest, offset, atol=1e-6)
    back = shape.change(changed, avatar.rig.betas)
    assert torch.allclose(back.gaussians.means, avatar.gaussians.means, atol=1e-6)


def test_a_rig_of_other_anchors_cannot_follow_betas():
    rig = small_avatar().rig
    moved = type(rig)(rig.anchors_rest + 0.01, rig.lbs_weights, rig.joints, rig.parents, rig.betas)
    assert live_scene.Shape.of(moved) is None


def test_the_wipe_takes_each_gaussian_from_one_side():
    refined = small_avatar()
    coarse = Avatar(refined.gaussians.recolored(0 * refined.gaussians.colors), refined.rig)
    half = live_scene.wipe(coarse, refined, 0.5).gaussians.colors.amax(1) < 0.01
    x = refined.rig.anchors_rest[:, 0]
    assert half.sum() == len(x) // 2 and x[half].max() <= x[~half].min()


def test_covariances_are_those_of_the_ellipsoids():
    g = small_avatar().gaussians
    covariances = torch.from_numpy(live_scene.splat_arrays(g)["covariances"])
    lengths = torch.linalg.eigvalsh(covariances.double()).clamp_min(0).sqrt()
    assert torch.allclose(lengths, g.scales.sort(1).values.double(), rtol=1e-3)


def test_mistakes_are_one_line_and_exit_code_2(tmp_path, capsys, monkeypatch):
    assert cli.main(["view", str(tmp_path)]) == 2
    assert "python -m toolkit avatar" in capsys.readouterr().err
    (tmp_path / "avatar.npz").write_bytes(b"")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert cli.main(["view", str(tmp_path), "--port", port]) == 2
    assert f"{port}: got Address already in use" in capsys.readouterr().err
    monkeypatch.setattr(live_port.importlib.util, "find_spec", lambda name: None)
    assert cli.main(["view", str(tmp_path)]) == 2
    assert "toolkit[view]" in capsys.readouterr().err


def test_a_slider_changes_the_picture_in_chromium(tmp_path):
    pytest.importorskip("viser")
    if chromium_path() is None:
        pytest.skip("no Chromium; name one in TOOLKIT_CHROMIUM")
    from toolkit.export.live import open_viewer

    viewer = open_viewer(Subject("Ann", small_avatar()))
    browser = Browser(900, 480)
    try:
        browser.open(viewer.url)
        first = settled(browser)
        viewer.angles[2].value = 80
        second = settled(browser, unlike=first)
        assert viewer.url.startswith("http://127.0.0.1:") and 'src="http' in viewer._repr_html_()
    finally:
        browser.close()
        viewer.stop()
    for name, picture in (("a", first), ("b", second)):
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    changed = np.abs(first.astype(float) - second).max(-1) > 20
    arm, body = changed[SCENE][:, 170:], changed[SCENE][:, :150]
    assert arm.mean() > 0.01 and body.mean() < 0.002, "the left arm moves, the rest stays"


def settled(browser, unlike=None):
    """The first screenshot that shows a person, equals the one before it, and is not `unlike`."""
    before = None
    for _ in range(150):
        time.sleep(0.3)
        picture = np.asarray(Image.open(io.BytesIO(browser.screenshot())).convert("RGB"))
        scene = picture[SCENE].astype(float)
        there = (np.ptp(scene, axis=-1) > 60).mean() > 0.01
        still = before is not None and np.abs(scene - before).max(-1).mean() < 0.1
        new = unlike is None or (np.abs(scene - unlike[SCENE]).max(-1) > 20).mean() > 0.002
        before = scene
        if there and still and new:
            return picture
    pytest.fail("the scene never came")


def test_the_zero_turn_is_the_pose():
    assert torch.equal(live_scene.turn_joints(t_pose(), {"jaw": (0.0, 0.0, 0.0)}), t_pose())
