"""What code written for gsplat relies on: the signature, `meta`, and the choice of back end."""

import inspect
import subprocess
import sys

import pytest
import torch
from render_scenes import SIZE, leaves, make_cameras, make_scene, ours

from toolkit.errors import InputError
from toolkit.render.cpu.meta import KEYS
from toolkit.render.rasterizer import call_gsplat, rasterization

gsplat = pytest.importorskip("gsplat")
torch_impl = pytest.importorskip("gsplat.cuda._torch_impl")


def test_signature_is_gsplats():
    mine, theirs = (inspect.signature(f).parameters for f in (rasterization, gsplat.rasterization))
    assert list(mine) == list(theirs)
    differing = {n for n in mine if mine[n].default != theirs[n].default}
    assert differing == {"rolling_shutter"}  # its neutral value is an enum of the CUDA module


def test_meta_has_gsplats_keys_and_types():
    """Keys as `gsplat.rasterization` 1.5.3 writes them; types as its kernels and torch versions."""
    scene, cameras = make_scene(), make_cameras()
    meta = ours(scene, cameras)[2]
    source = inspect.getsource(gsplat.rasterization)
    order = [source.index(f'"{key}": ') for key in KEYS]  # every key is in its source, in order
    assert tuple(meta) == KEYS and order == sorted(order)
    number = {k: v for k, v in meta.items() if isinstance(v, int)}
    assert number == {
        "tile_width": 2,
        "tile_height": 2,
        "width": 45,
        "height": 37,
        "tile_size": 32,
        "n_batches": 1,
        "n_cameras": 2,
    }
    none = {k for k, v in meta.items() if v is None}
    assert none == {"batch_ids", "camera_ids", "gaussian_ids"}  # as with packed=False
    shapes = {k: (v.dtype, tuple(v.shape)) for k, v in meta.items() if torch.is_tensor(v)}
    pairs = len(meta["flatten_ids"])
    assert shapes == {
        "radii": (torch.int32, (2, 120, 2)),
        "means2d": (torch.float32, (2, 120, 2)),
        "depths": (torch.float32, (2, 120)),
        "conics": (torch.float32, (2, 120, 3)),
        "opacities": (torch.float32, (2, 120)),
        "tiles_per_gauss": (torch.int32, (2, 120)),
        "isect_ids": (torch.int64, (pairs,)),
        "flatten_ids": (torch.int32, (pairs,)),
        "isect_offsets": (torch.int32, (2, 2, 2)),
    }


def test_tile_lists_obey_gsplats_encoding():
    """Our tiles are tighter than gsplat's boxes, but hold the same kind of lists."""
    scene, cameras = make_scene(300, seed=1), make_cameras(3)
    meta = ours(scene, cameras)[2]
    ids, size = meta["isect_ids"], (meta["tile_width"], meta["tile_height"])
    assert (ids[1:] >= ids[:-1]).all(), "not by image, tile and depth"
    assert torch.equal(torch_impl._isect_offset_encode(ids, 3, *size), meta["isect_offsets"])
    per_gauss, want_ids, want_flat = torch_impl._isect_tiles(
        meta["means2d"], meta["radii"], meta["depths"], meta["tile_size"], *size
    )
    assert (meta["tiles_per_gauss"] <= per_gauss).all()
    assert meta["tiles_per_gauss"].sum() == len(ids) > 0.7 * len(want_ids)
    ours_, theirs = (
        set(zip(i.tolist(), f.tolist(), strict=True))
        for i, f in ((ids, meta["flatten_ids"]), (want_ids, want_flat))
    )
    assert ours_ <= theirs


def test_lazy_lists_survive_every_way_of_reading():
    scene, cameras = make_scene(), make_cameras()
    want = ours(scene, cameras)[2]["flatten_ids"]
    for read in (
        dict,
        lambda m: {**m},
        lambda m: dict(m.items()),
        lambda m: m,
        lambda m: dict(zip(m, m.values(), strict=True)),
    ):
        assert torch.equal(read(ours(scene, cameras)[2])["flatten_ids"], want)
    meta = ours(scene, cameras)[2]
    assert torch.equal(meta.get("flatten_ids"), want) and meta.get("nothing", 3) == 3
    with pytest.raises(KeyError):
        meta["nothing"]


def test_empty_scene_has_empty_lists():
    meta = ours(make_scene(0), make_cameras())[2]
    assert meta["flatten_ids"].shape == meta["isect_ids"].shape == (0,)
    assert meta["tiles_per_gauss"].shape == (2, 0) and (meta["isect_offsets"] == 0).all()


@pytest.mark.parametrize("lead", [(), (1,)])
def test_gradient_of_projected_means_can_be_kept(lead):
    """What gsplat's strategies do: retain_grad() on `means2d` before backward, read .grad after."""
    scene, cameras = make_scene(), make_cameras()
    given = leaves({k: v.expand(*lead, *v.shape) for k, v in scene.items()})
    picture, _, meta = rasterization(
        **given,
        viewmats=cameras.viewmats.expand(*lead, 2, 4, 4),
        Ks=cameras.Ks.expand(*lead, 2, 3, 3),
        width=SIZE[0],
        height=SIZE[1],
    )
    for key in ("means2d", "conics"):
        meta[key].retain_grad()
    picture.square().sum().backward()
    assert meta["means2d"].grad.abs().max() > 0 and meta["conics"].grad.abs().max() > 0
    hidden = (meta["radii"] == 0).all(-1)
    assert (meta["means2d"].grad[hidden] == 0).all()
    assert meta["means2d"].grad.shape == (*lead, 2, 120, 2)


def test_gsplats_strategy_runs_on_our_meta():
    strategy = gsplat.DefaultStrategy(
        refine_start_iter=0, refine_every=1, reset_every=10**6, grow_grad2d=1e-9, verbose=False
    )
    scene = make_scene()
    params = {
        "means": scene["means"],
        "quats": scene["quats"],
        "scales": scene["scales"].log(),
        "opacities": torch.logit(scene["opacities"].clamp(0.01, 0.99)),
        "colors": scene["colors"],
    }
    params = torch.nn.ParameterDict({k: torch.nn.Parameter(v) for k, v in params.items()})
    optimizers = {k: torch.optim.Adam([v], lr=1e-3) for k, v in params.items()}
    state, cameras = strategy.initialize_state(scene_scale=1.0), make_cameras()
    for step in (1, 2):
        values = {
            **params,
            "scales": params["scales"].exp(),
            "opacities": torch.sigmoid(params["opacities"]),
        }
        picture, _, info = ours(values, cameras)
        strategy.step_pre_backward(params, optimizers, state, step, info)
        picture.square().sum().backward()
        strategy.step_post_backward(params, optimizers, state, step, info, packed=False)
    assert len(params["means"]) > 120  # it grew by the kept gradients


def test_tensors_on_another_device_are_refused():
    scene, cameras = make_scene(5), make_cameras()
    with pytest.raises(InputError, match="colors.*meta"):
        ours({**scene, "colors": scene["colors"].to("meta")}, cameras)


def test_cuda_path_hands_gsplat_arguments_it_accepts(monkeypatch):
    """On any machine: what `rasterization` would pass binds to gsplat's own signature."""
    seen = {}
    monkeypatch.setattr(gsplat, "rasterization", lambda **given: seen.update(given) or "done")
    arguments = dict.fromkeys(inspect.signature(rasterization).parameters)
    assert call_gsplat(arguments) == "done"
    monkeypatch.undo()
    assert inspect.signature(gsplat.rasterization).bind(**seen)
    assert "rolling_shutter" not in seen  # None is ours; gsplat's default stays


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA and gsplat's kernels")
def test_cuda_tensors_go_to_gsplat_and_agree_with_the_cpu():
    scene, cameras = make_scene(500), make_cameras(2, size=(128, 96))
    want, alpha, _ = ours(scene, cameras)
    got, got_alpha, meta = ours({k: v.cuda() for k, v in scene.items()}, cameras.to("cuda"))
    assert got.is_cuda and meta["gaussian_ids"] is not None  # packed: gsplat's own meta
    for a, b in ((got, want), (got_alpha, alpha)):
        off = (a.cpu() - b).abs() > 1e-4
        assert off.float().mean() < 1e-3 and (a.cpu() - b).abs().max() < 2 / 255


MEMORY = """
import torch
from toolkit.cameras import orbit_cameras
from toolkit.render.rasterizer import rasterization
g = torch.Generator().manual_seed(0)
n = 160_000
def run(n, px):
    shape = torch.tensor([0.25, 0.85, 0.15])
    scene = [shape * torch.randn(n, 3, generator=g).clamp(-1, 1), torch.randn(n, 4, generator=g),
             0.002 + 0.004 * torch.rand(n, 3, generator=g), torch.rand(n, generator=g),
             torch.rand(n, 3, generator=g)]
    scene = [t.requires_grad_() for t in scene]
    camera = orbit_cameras(torch.tensor([20.0]), 5.0, radius_m=2.9, fov_y_deg=36.0, size=(px, px))
    picture, _, _ = rasterization(*scene, camera.viewmats, camera.Ks, px, px)
    picture.sum().backward()
    return scene
def kilobytes(name):  # not ru_maxrss, which a child takes over from its parent
    return int(open("/proc/self/status").read().split(name + ":")[1].split()[0])
run(100, 64)
before = kilobytes("VmRSS")
run(n, 1024)
print(kilobytes("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_memory_of_a_large_picture():
    """160k Gaussians at 1024 px, forward and backward: 300 MB above inputs and their gradients."""
    result = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True
    )
    inputs = 2 * 160_000 * 14 * 4  # values and gradients
    assert 0 < int(result.stdout) * 1024 - inputs < 300e6
