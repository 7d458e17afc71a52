"""The page for the browser: it draws what we draw, walks, and lets no name break out."""

import base64
import io
import json
import time

import numpy as np
import pytest
import torch
from PIL import Image
from small_avatar import psnr, small_avatar

from experiments.browser import Browser, chromium_path
from toolkit import cli
from toolkit.body.motion import Motion, load_clip
from toolkit.cameras import orbit_cameras
from toolkit.errors import InputError
from toolkit.export import page
from toolkit.export.subject import Subject
from toolkit.render.api import render
from toolkit.show.export import read_video
from toolkit.show.loops import write_film

NAME = "</script><script>document.title='broken'</script> & <b>\"Ann\"</b>"
POSES = ((torch.zeros(55, 3), 0, 0), (load_clip("dance_a").poses[20], 40, 10), (load_clip("kick").poses[22], 200, 5))  # noqa: E501  # fmt: skip


@pytest.fixture(scope="module")
def avatars():
    refined = small_avatar()
    dark = refined.gaussians.recolored(0.3 * refined.gaussians.colors)
    return refined, type(refined)(dark, refined.rig)


@pytest.fixture(scope="module")
def opened(avatars, tmp_path_factory):
    """A browser with the page; it is the same for all tests of this file."""
    if chromium_path() is None:
        pytest.skip("no Chromium; name one in TOOLKIT_CHROMIUM")
    path = tmp_path_factory.mktemp("page") / "avatar.html"
    page.write_page(Subject(NAME, *avatars), path)
    browser = Browser(320, 400)
    browser.open(path.as_uri())
    yield browser
    browser.close()


def picture(browser):
    return np.asarray(Image.open(io.BytesIO(browser.screenshot())).convert("RGB")).astype(float)


def wait_for(browser, expression):
    for _ in range(200):
        if browser.js(expression):
            return
        time.sleep(0.05)
    pytest.fail(f"never true in the page: {expression}")


def test_it_walks_without_errors_and_without_a_network(opened):
    wait_for(opened, "window.viewer && viewer.frames > 2 && viewer.time > 0.05")
    first = picture(opened)
    now = opened.js("viewer.time")
    wait_for(opened, f"viewer.time > {now} + 0.3")
    moved = np.abs(picture(opened) - first).mean(-1) > 20
    assert 0.002 < moved[:300].mean() < 0.4, "the person moves, the rest stays"
    assert not opened.errors and opened.js("document.getElementById('message').hidden")
    outside = [u for u in opened.requests if not u.startswith(("file:", "blob:", "data:"))]
    assert not outside


def test_the_wipe_shows_coarse_on_the_left(opened):
    wait_for(opened, "viewer.frames > 2")
    bright = {}
    for value in (0, 1):
        opened.js(f"viewer.wipe = {value}")
        frames = opened.js("viewer.frames")
        wait_for(opened, f"viewer.frames > {frames} + 1")
        bright[value] = picture(opened)[100:250, 130:190].mean()
    assert bright[1] < bright[0] - 10


def test_the_name_is_text_and_nothing_else(opened):
    assert opened.js("document.title") == NAME
    assert opened.js("document.querySelector('h1').textContent") == NAME
    assert opened.js("document.querySelectorAll('script').length") == 3


@pytest.mark.parametrize(("number", "which"), [(0, 0), (1, 0), (2, 0), (1, 1)])
def test_pixels_are_those_of_our_renderer(opened, avatars, number, which):
    pose, azimuth, elevation = POSES[number]
    view = {
        "azimuth": azimuth,
        "elevation": elevation,
        "radius": 4.0,
        "fov": 28,
        "target": [0, 0, 0],
    }  # noqa: E501
    wish = {"pose": pose.flatten().tolist(), "view": view, "which": which}
    wish |= {"width": 240, "height": 240, "transl": [0.1, 0.05, -0.1]}
    text = opened.js(
        f"viewer.exact({json.dumps(wish)}).then(p => btoa(Array.from(p, "
        "v => String.fromCharCode(v)).join('')))"
    )
    pixels = np.frombuffer(base64.b64decode(text), np.uint8).reshape(240, 240, 4)[::-1, :, :3]
    camera = orbit_cameras([azimuth], [elevation], radius_m=4.0, fov_y_deg=28, size=(240, 240))
    posed = avatars[which].posed(pose, torch.tensor([0.1, 0.05, -0.1]))
    ours = render(posed, camera).rgb[0]
    assert psnr(torch.from_numpy(pixels / 255).float(), ours) > 45


# --- what needs no browser ---


def test_neither_title_nor_data_end_their_element():
    text = page.fill_template(NAME, {"name": "</script><script>alert(1)</script>"})
    assert "alert(1)</script>" not in text and "<b>" not in text
    data = text.split('id="data">')[1].split("</script>")[0]
    assert json.loads(data)["name"] == "</script><script>alert(1)</script>"
    assert "{{" not in text.split('id="data">')[0]
    assert "http" not in text.replace("http-equiv", "")


@pytest.mark.parametrize("name", page.CLIPS)
def test_clips_repeat_without_a_jump(name):
    packed = page.pack_clip(load_clip(name))
    num = packed["length"]
    read = lambda key: np.frombuffer(base64.b64decode(packed[key]), "<f4").reshape(num, -1)  # noqa: E731
    poses, transl = read("poses"), read("transl")
    step = np.abs(np.diff(poses, axis=0)).max()
    assert np.abs(poses[0, 3:] - poses[-1, 3:]).max() <= 1.5 * step
    again = transl[0] + packed["way"]
    assert np.abs(again - transl[-1]).max() <= 2 * np.abs(np.diff(transl, axis=0)).max() + 1e-6


def test_long_motions_are_thinned_and_cut():
    motion = Motion(torch.rand(9000, 55, 3), torch.zeros(9000, 3), 120.0)
    packed = page.pack_clip(motion)
    assert packed["fps"] == 30 and packed["length"] <= 2 * 60 * 30


def test_what_is_rounded_is_less_than_can_be_seen(avatars):
    packed = page.pack_rig(avatars[0].rig)
    raw = np.frombuffer(base64.b64decode(packed["weights"]), "<u2").reshape(-1, 8) / 65535
    top = avatars[0].rig.lbs_weights.topk(8, dim=1).values.numpy()
    assert np.abs(raw - top).max() < 1e-4 and (avatars[0].rig.lbs_weights > 0).sum(1).max() <= 8


# --- films ---


def test_animate_writes_films_and_says_what_it_found(tmp_path, capsys):
    small_avatar(300).save(tmp_path / "avatar.npz")
    common = ["--motion", "walk", "--size", "64x48", "--fps", "5", "--foot-lock", "--turn", "180"]
    for name in ("f.mp4", "f.gif", "f.webp"):
        arguments = ["animate", str(tmp_path), *common, "--out", str(tmp_path / name)]
        assert cli.main(arguments) == 0
    out = capsys.readouterr().out
    assert "after the foot lock" in out and "slides there at" in out
    frames, fps = read_video(tmp_path / "f.mp4")
    assert fps == 5 and frames.shape == (6, 64, 48, 3)
    assert np.abs(frames[0].astype(float) - frames[-1]).max() > 60  # the camera goes round
    for name in ("f.gif", "f.webp"):
        with Image.open(tmp_path / name) as film:
            assert film.n_frames == 6 and film.info["loop"] == 0


@pytest.mark.parametrize(
    "more", [["--out", "f.avi"], ["--speed", "0"], ["--size", "64"], ["--motion", "no.bvh"]]
)
def test_mistakes_of_animate_leave_no_film(tmp_path, more, capsys):
    small_avatar(300).save(tmp_path / "avatar.npz")
    start = ["animate", str(tmp_path), "--motion", "walk", "--out", str(tmp_path / "f.mp4")]
    assert cli.main([*start, *more]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert [p.name for p in tmp_path.iterdir()] == ["avatar.npz"]


def test_films_keep_their_time_and_colours(tmp_path):
    frames = np.zeros((3, 8, 10, 3))
    frames[1, ..., 0] = 1
    for name in ("a.gif", "a.webp"):
        write_film(tmp_path / name, frames, fps=10, loop=False)
        with Image.open(tmp_path / name) as film:
            film.seek(1)
            film.load()
            assert film.info["duration"] == 100
            assert np.abs(np.asarray(film.convert("RGB"))[4, 4] - [255, 0, 0]).max() < 12
    with pytest.raises(InputError, match="no frames"):
        write_film(tmp_path / "b.gif", [], fps=10)
