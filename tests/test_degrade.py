import torch

from toolkit.prior.degrade import degrade, gaussian_blur, masked_blur, seen_by_first, unproject
from toolkit.prior.orbit import static_orbit, turntable_cameras

SIZE = (48, 24)


def sphere_clip(cameras, radius_m=0.5):
    """Depth, alpha and normals of a sphere about the target, traced per pixel."""
    near = unproject(cameras, torch.ones(len(cameras), *SIZE))
    directions = near - cameras.centers[:, None, None]
    centre = torch.tensor([0.0, -0.1, 0.0]) - cameras.centers
    a = directions.square().sum(-1)
    b = (directions * centre[:, None, None]).sum(-1)
    root = b**2 - a * (centre.square().sum(-1)[:, None, None] - radius_m**2)
    depth = torch.where(root > 0, (b - root.clamp_min(0).sqrt()) / a, torch.full_like(a, 100.0))
    points = unproject(cameras, depth)
    normals = torch.nn.functional.normalize(points - torch.tensor([0.0, -0.1, 0.0]), dim=-1)
    return depth, (root > 0).float(), normals


def test_unproject_undoes_project():
    cameras = turntable_cameras(static_orbit(3, elevation_deg=12), size=SIZE)
    points = unproject(cameras, torch.full((3, *SIZE), 4.0))
    for c in range(3):
        pixels, depth = cameras[c].project(points[c].reshape(-1, 3))
        assert torch.allclose(depth, torch.tensor(4.0), atol=1e-4)
        assert torch.allclose(pixels[0, 0], torch.tensor([0.5, 0.5]), atol=1e-3)
        assert torch.allclose(pixels[0, 25], torch.tensor([1.5, 1.5]), atol=1e-3)


def test_front_is_seen_and_back_is_not():
    cameras = turntable_cameras(static_orbit(4), size=SIZE)
    depth, alpha, normals = sphere_clip(cameras)
    seen, _ = seen_by_first(cameras, depth, alpha, normals)
    share = seen.sum((1, 2)) / alpha.sum((1, 2))
    assert float(share[0]) > 0.8 and float(share[2]) == 0
    assert 0.2 < float(share[1]) < 0.7
    left, right = seen[1].chunk(2, dim=-1)  # from +x, the front (+z) lies on the picture's left
    assert float(left.sum()) > 10 * float(right.sum())


def test_degraded_clip_is_sharp_in_front_and_smeared_behind():
    cameras = turntable_cameras(static_orbit(4), size=SIZE)
    depth, alpha, normals = sphere_clip(cameras)
    stripes = (unproject(cameras, depth)[..., 1:2] * 40).sin().sign() / 2 + 0.5
    stripes = stripes.expand(-1, -1, -1, 3)
    rgb = stripes * alpha[..., None] + 1 - alpha[..., None]
    seen, grid = seen_by_first(cameras, depth, alpha, normals)
    coarse = degrade(rgb, alpha, seen, grid, generator=torch.Generator().manual_seed(0))
    inside = alpha.bool()
    error = [float((coarse - rgb)[v][inside[v]].abs().mean()) for v in range(4)]
    assert error[0] < 0.6 * error[1] < error[2]
    assert float(coarse[:, 0, 0].min()) > 0.95  # background stays white


def test_masked_blur_takes_nothing_from_outside():
    images = torch.ones(1, 3, 20, 20)
    images[..., 10:] = 5.0
    weight = torch.zeros(1, 1, 20, 20)
    weight[..., :10] = 1
    assert torch.allclose(masked_blur(images, weight, 2.0)[..., :10], torch.tensor(1.0), atol=1e-4)
    assert torch.allclose(gaussian_blur(torch.ones(1, 2, 9, 9), 1.5), torch.tensor(1.0))


