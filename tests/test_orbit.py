import pytest
import torch

from toolkit.errors import InputError
from toolkit.prior.orbit import (
    Orbit,
    OrbitConfig,
    dynamic_orbit,
    orbit,
    static_orbit,
    turntable_cameras,
)


@pytest.fixture(scope="module")
def published():
    generator = torch.Generator().manual_seed(0)
    return [dynamic_orbit(21, generator=generator) for _ in range(600)]


def test_elevation_statistics_match_the_released_sampler(published):
    elevations = torch.stack([o.elevations_deg for o in published])
    peaks = elevations.abs().amax(dim=1)
    assert 29 < float(elevations.square().mean().sqrt()) < 35  # 31-33 over 2000 draws of their code
    assert 50 < float(peaks.median()) < 60 and float(peaks.max()) < 90


def test_azimuth_gaps_match_the_released_sampler(published):
    azimuths = torch.stack([torch.cat([o.azimuths_deg, torch.tensor([360.0])]) for o in published])
    gaps = azimuths.diff(dim=1)
    assert float(gaps.min()) > 0 and float(gaps.max()) < 45
    assert float(gaps.mean()) == pytest.approx(360 / 21, abs=1e-3)
    assert 4.3 < float(gaps[:, :-1].std()) < 5.5


@pytest.mark.parametrize("num_views", [5, 13, 21, 84, 100])
def test_azimuth_rises_within_one_turn_from_the_front(num_views):
    o = dynamic_orbit(num_views, generator=torch.Generator().manual_seed(3))
    assert len(o) == num_views and float(o.azimuths_deg[0]) == 0
    assert (o.azimuths_deg.diff() > 0).all() and float(o.azimuths_deg[-1]) < 360


def test_front_view_keeps_its_elevation():
    for limit in (None, 10.0):
        o = dynamic_orbit(
            13, elevation_deg=5, max_amplitude_deg=limit, generator=torch.Generator().manual_seed(1)
        )
        assert float(o.elevations_deg[0]) == pytest.approx(5, abs=1e-3)


def test_full_cycle_is_closed_and_smooth():
    o = dynamic_orbit(84, max_amplitude_deg=10, generator=torch.Generator().manual_seed(2))
    steps = torch.cat([o.elevations_deg, o.elevations_deg[:1]]).diff().abs()
    assert float(steps[-1]) <= 1.5 * float(steps[:-1].max())


def test_divisors_of_84_are_a_subset_of_the_cycle():
    full, clip = (dynamic_orbit(n, generator=torch.Generator().manual_seed(4)) for n in (84, 21))
    assert torch.equal(full.azimuths_deg[::4], clip.azimuths_deg)
    assert torch.allclose(full.elevations_deg[::4], clip.elevations_deg)


def test_amplitude_limit_and_clip():
    for seed in range(20):
        o = orbit(OrbitConfig(num_views=84, seed=seed))
        assert float(o.elevations_deg.abs().max()) == pytest.approx(10, abs=1e-4)
    o = orbit(OrbitConfig(num_views=84, elevation_deg=-5, max_amplitude_deg=20))
    assert float(o.elevations_deg.min()) == -10 and float(o.elevations_deg.max()) <= 15


def test_seed_decides_the_orbit():
    first, again, other = (orbit(OrbitConfig(seed=seed)).azimuths_deg for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_static_orbit_and_sv3d_order():
    o = static_orbit(4, elevation_deg=7)
    assert o.azimuths_deg.tolist() == [0, 90, 180, 270] and o.elevations_deg.tolist() == [7] * 4
    assert o.conditioning_last.azimuths_deg.tolist() == [90, 180, 270, 0]


def test_people_of_all_heights_fit_into_the_turntable():
    o = orbit(OrbitConfig(num_views=84, seed=5))
    cameras = turntable_cameras(o)
    for height, pelvis in [(1.5, 0.52), (1.95, 0.52), (1.95, 0.56)]:
        crown, sole = height * (1 - pelvis) + 0.03, -height * pelvis - 0.03  # hair, shoes
        points = torch.tensor([[0, crown, 0.05], [0, sole, 0.12], [0, sole, -0.12]])
        pixels, _ = cameras.project(points)
        assert float(pixels.min()) > 0 and float(pixels[..., 1].max()) < cameras.height


def test_front_camera_stands_before_the_face_and_every_camera_sees_the_target():
    cameras = turntable_cameras(static_orbit(4), size=(96, 48), target=(0.1, 0.2, 0.3))
    pixels, depth = cameras.project(torch.tensor([[0.1, 0.2, 0.3]]))
    assert torch.allclose(pixels[:, 0], torch.tensor([24.0, 48.0]), atol=1e-3)
    assert float(cameras.centers[0, 2]) > 4 and float(cameras.centers[1, 0]) > 4
    assert torch.allclose(depth, depth[0].expand_as(depth), atol=1e-4)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Orbit([0.0, 90.0], [0.0, 1.0, 2.0]),
        lambda: Orbit([], []),
        lambda: Orbit([0.0], [90.0]),
        lambda: static_orbit(0),
        lambda: orbit(OrbitConfig(kind="spiral")),
        lambda: dynamic_orbit(13, elevation_deg=90),
    ],
)
def test_bad_orbits_are_refused(make):
    with pytest.raises(InputError, match="wanted"):
        make()
