"""Camera orbits of a turntable clip: SV3D's dynamic orbit, a static one, or a list of your own.

Frame 0 is the front view (azimuth 0, elevation `elevation_deg`), the view of the photo. SV3D rolls
its orbits by one so that the conditioning view comes *last*; `Orbit.conditioning_last` does so.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.cameras import Cameras, orbit_cameras
from toolkit.errors import fail

CYCLE = 84  # views of SV3D's full cycle; clips take a subset of them
NUM_WAVES = 84  # sinusoids summed for the elevation
COVERED_M = 2.2  # height of the slice through the target that fills the picture
TARGET_M = (0.0, -0.1, 0.0)  # middle of a standing body relative to its pelvis joint


@dataclass(frozen=True)
class Orbit:
    """T directions from which a clip looks at the person, in order.

    Attributes:
        azimuths_deg: 0 in front, 90 at the person's left side, rising.
        elevations_deg: positive when the camera is above.
    """

    azimuths_deg: Float[Tensor, " T"]
    elevations_deg: Float[Tensor, " T"]

    def __post_init__(self):
        azimuths = torch.as_tensor(self.azimuths_deg, dtype=torch.float32).reshape(-1)
        elevations = torch.as_tensor(self.elevations_deg, dtype=torch.float32).reshape(-1)
        if len(azimuths) == 0 or len(elevations) not in (1, len(azimuths)):
            fail(
                "Orbit",
                got=f"{len(azimuths)} azimuths and {len(elevations)} elevations",
                wanted="as many elevations as azimuths (or one), at least one view",
                fix="Give two lists of equal length, in degrees.",
            )
        if not (azimuths.isfinite().all() and (elevations.abs() < 90).all()):
            fail(
                "Orbit",
                got="an angle that is not finite or an elevation beyond 90 degrees",
                wanted="finite azimuths, elevations in (-90, 90)",
                fix="Check the angles.",
            )
        object.__setattr__(self, "azimuths_deg", azimuths)
        object.__setattr__(self, "elevations_deg", elevations.expand_as(azimuths).clone())

    def __len__(self) -> int:
        return len(self.azimuths_deg)

    @property
    def conditioning_last(self) -> "Orbit":
        """The same views in SV3D's order: the conditioning (front) view is the last frame."""
        return Orbit(self.azimuths_deg.roll(-1), self.elevations_deg.roll(-1))


@dataclass(frozen=True)
class OrbitConfig:
    """How the turntable moves."""

    kind: str = "dynamic"  # "dynamic" (SV3D) or "static"
    num_views: int = 13  # frames; video models want 4k+1
    elevation_deg: float = 0.0  # of the front view, and of every view of a static orbit
    max_amplitude_deg: float | None = 10.0  # peak of the elevation curve; None = as published
    clip_deg: tuple[float, float] = (-10.0, 30.0)  # allowed elevations under that limit
    seed: int = 0  # of the dynamic orbit


def static_orbit(num_views: int = 13, *, elevation_deg: float = 0.0) -> Orbit:
    """Even azimuths at one elevation."""
    _check_num_views(num_views)
    return Orbit(torch.arange(num_views) * 360.0 / num_views, torch.tensor([float(elevation_deg)]))


def dynamic_orbit(
    num_views: int = 21,
    *,
    elevation_deg: float = 0.0,
    max_amplitude_deg: float | None = None,
    clip_deg: tuple[float, float] = (-10.0, 30.0),
    generator: torch.Generator | None = None,
) -> Orbit:
    """SV3D's dynamic orbit; redrawn until no camera passes a pole.

    Args:
        num_views: clip length; SV3D takes every (84/num_views)-th view, we interpolate if needed.
        elevation_deg: of the front view.
        max_amplitude_deg: shrinks the elevation curve so that its peak stays below; None keeps the
            published curve, whose median peak of 55 degrees is too wild for a standing person.
        clip_deg: elevations allowed when `max_amplitude_deg` is given.
        generator: CPU generator.

    Source: Voleti et al. 2024 (SV3D), section 3.1 and appendix B, with the released code's
    four frequencies, two phases and redraw rule.
    """
    _check_num_views(num_views)
    if not abs(elevation_deg) < 90:
        fail(
            "elevation_deg",
            got=elevation_deg,
            wanted="a value in (-90, 90)",
            fix="Pick the elevation of the front view.",
        )
    while True:
        waves = _sum_of_sines(generator)
        if (elevation_deg + waves).abs().max() < 90:
            break
    azimuths = _jittered_azimuths(generator)
    if max_amplitude_deg is not None:
        waves = waves * min(1.0, max_amplitude_deg / float(waves.abs().max()))
        waves = (elevation_deg + waves).clamp(*clip_deg) - elevation_deg
    return Orbit(
        _pick(azimuths, num_views, end=360.0),
        elevation_deg + _pick(waves, num_views, end=float(waves[0])),
    )


def orbit(config: OrbitConfig) -> Orbit:
    """The orbit a configuration asks for."""
    if config.kind == "static":
        return static_orbit(config.num_views, elevation_deg=config.elevation_deg)
    if config.kind != "dynamic":
        fail(
            "OrbitConfig.kind",
            got=repr(config.kind),
            wanted='"dynamic" or "static"',
            fix="For a list of your own build Orbit(azimuths_deg, elevations_deg).",
        )
    return dynamic_orbit(
        config.num_views,
        elevation_deg=config.elevation_deg,
        max_amplitude_deg=config.max_amplitude_deg,
        clip_deg=config.clip_deg,
        generator=torch.Generator().manual_seed(config.seed),
    )


def turntable_cameras(
    orbit: Orbit,
    *,
    size: tuple[int, int] = (192, 96),
    fov_y_deg: float = 25.0,
    covered_m: float = COVERED_M,
    target: tuple[float, float, float] = TARGET_M,
) -> Cameras:
    """Cameras of the turntable: the A-posed body, pelvis at the origin, head and feet inside.

    Args:
        orbit: view directions.
        size: (height, width) in pixels.
        fov_y_deg: vertical opening angle.
        covered_m: height of the slice through `target` that fills the picture; the default holds
            people of 1.5 to 1.95 m with hair and shoes.
        target: point all cameras look at, metres.
    """
    radius_m = 0.5 * covered_m / float(torch.tan(torch.deg2rad(torch.tensor(fov_y_deg / 2))))
    return orbit_cameras(
        orbit.azimuths_deg,
        orbit.elevations_deg,
        radius_m=radius_m,
        fov_y_deg=fov_y_deg,
        size=size,
        target=target,
    )


def _sum_of_sines(generator: torch.Generator | None) -> Float[Tensor, " L"]:
    """Elevation deviation (degrees) of the 84 views; zero at view 0, circularly smoothed."""
    frequency = torch.randint(1, 5, (NUM_WAVES, 1), generator=generator)
    amplitude = 0.5 + 9.5 * torch.rand(NUM_WAVES, 1, generator=generator)
    sign = 1.0 - 2.0 * torch.randint(0, 2, (NUM_WAVES, 1), generator=generator)  # phase 0 or pi
    phase_rad = 2 * torch.pi * frequency * torch.arange(CYCLE) / CYCLE
    wave = (sign * amplitude * phase_rad.sin()).sum(dim=0)
    return torch.stack([wave.roll(shift) for shift in range(-2, 3)]).mean(dim=0)


def _jittered_azimuths(generator: torch.Generator | None) -> Float[Tensor, " L"]:
    """84 rising azimuths (degrees) from 0; the gap back to 360 is U(0,2) mean steps."""
    steps = 2 * torch.rand(CYCLE - 1, generator=generator)
    last = 360 / CYCLE * 2 * float(torch.rand((), generator=generator))
    return torch.cat([torch.zeros(1), (steps * (360 - last) / steps.sum()).cumsum(0)])


def _pick(values: Float[Tensor, " L"], num_views: int, *, end: float) -> Float[Tensor, " T"]:
    """Values at `num_views` even places of the closed cycle; `end` is the value at its seam."""
    closed = torch.cat([values, torch.tensor([end])])
    place = torch.arange(num_views) * CYCLE / num_views
    low = place.floor().long()
    return torch.lerp(closed[low], closed[low + 1], place - low)


def _check_num_views(num_views: int) -> None:
    if num_views < 1:
        fail("num_views", got=num_views, wanted="at least 1", fix="13 or 21 are usual (4k+1).")
