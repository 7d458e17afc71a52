"""The exact patch prior: body maps, carried detail, and the denoiser against the plain formula."""

from types import SimpleNamespace

import pytest
import torch

from toolkit.body.anchors import sample_anchors
from toolkit.body.face import face_anchors
from toolkit.body.npz import load_body
from toolkit.body.rig import Avatar, Rig
from toolkit.errors import InputError
from toolkit.gaussians import Gaussians
from toolkit.prior.orbit import static_orbit
from toolkit.prior.patches.carried import carried_detail, recurrence
from toolkit.prior.patches.denoiser import PATCH, PatchConfig, coarseness, ideal_denoiser, offsets
from toolkit.prior.patches.detail import DetailMaps, Seen
from toolkit.prior.patches.maps import HEAD, TRUNK, BodyMaps
from toolkit.prior.patches.prior import PatchPrior
from toolkit.prior.prior import Prior
from toolkit.prior.sdedit import SDEditConfig
from toolkit.refine.edit import as_clip, clip_condition, edit_clip
from toolkit.refine.turntable import render_turntable

# --- body maps ---


@pytest.fixture(scope="module")
def rig() -> Rig:
    body = load_body()
    return Rig.build(body, sample_anchors(body, num=20_000), torch.zeros(20))


@pytest.fixture(scope="module")
def maps(rig) -> BodyMaps:
    return BodyMaps.of(rig)


def person(rig: Rig, colors: torch.Tensor) -> Avatar:
    num = len(rig)
    quats = torch.tensor([1.0, 0, 0, 0]).expand(num, 4)
    scales, opaque = torch.full((num, 3), 0.006), torch.full((num,), 0.95)
    return Avatar(Gaussians.from_colors(rig.anchors_rest, quats, scales, opaque, colors), rig)


def stripes(rig: Rig, period_m: float = 0.1) -> torch.Tensor:
    wave = torch.sin(2 * torch.pi * rig.anchors_rest[:, :2].sum(1) / period_m)
    return (0.5 + 0.3 * wave)[:, None] * torch.tensor([1.0, 0.8, 0.6])


def test_scatter_and_gather_return_what_went_in(rig, maps):
    colors = stripes(rig)
    error = (maps.gather(maps.scatter(colors)) - colors).square().mean()
    assert -10 * torch.log10(error) >= 30  # dB
    ones = maps.scatter(torch.ones(len(rig), 1))
    assert torch.allclose(ones, torch.ones_like(ones), atol=1e-5)


def test_the_same_pixel_is_the_same_place_from_behind_and_a_flip_is_the_other_side(rig, maps):
    x, y, z = maps.scatter(rig.anchors_rest)  # each (2,H,W)
    both = maps.inside.all(0) & (maps.limb[0] == maps.limb[1])
    assert (z[0] - z[1])[both].median() > 0.05  # the front lies in front
    assert (x[0] - x[1])[both].abs().median() < 0.02
    assert (y[0] - y[1])[both].abs().median() < 0.02
    mirrored = both & both.flip(-1)
    assert (x[0] + x[0].flip(-1))[mirrored].abs().median() < 0.01
    assert set(maps.limb.unique().tolist()) == {-1, 0, 1, 2, 3, 4, 5}


# --- the denoiser against the formula ---


def tiny(seed: int = 0, size: int = 12) -> tuple[SimpleNamespace, tuple[Seen, ...]]:
    """Two sides of a small map, some of it outside of the body, a part of the front seen."""
    g = torch.Generator().manual_seed(seed)
    limb = torch.ones(2, size, size, dtype=torch.long)
    limb[:, :, 7:], limb[:, :2] = 2, -1
    seen = torch.zeros(2, size, size, dtype=torch.bool)
    seen[0, 3:9, 2:9] = True
    source = Seen(
        torch.randn(3, size, size, generator=g) * seen[0],
        0.1 * torch.randn(3, size, size, generator=g),
        torch.where(seen[0], limb[0], -1),
    )
    cloth = 0.1 * torch.randn(3, 2, size, size, generator=g)
    maps = SimpleNamespace(
        maps=SimpleNamespace(limb=limb, inside=limb >= 0), seen=seen & (limb >= 0), cloth=cloth
    )
    return maps, (source, Seen(*(v.flip(-1) for v in (source.detail, source.cloth, source.limb))))


def by_definition(x, sigma, maps, sources, config) -> torch.Tensor:
    """Every fifth pixel, each with the list of all its exemplars, in double precision."""
    step, size = coarseness(sigma), x.shape[-1]
    at = [step * i for i in range(-(PATCH // 2), PATCH // 2 + 1)]
    mean = torch.full_like(x, torch.nan, dtype=torch.float64)
    for s, row, col in (maps.maps.inside & ~maps.seen).nonzero()[::5].tolist():
        logits, centres = [], []
        window = [(a, b) for a in at for b in at if 0 <= row + a < size and 0 <= col + b < size]
        window = [(a, b) for a, b in window if maps.maps.inside[s, row + a, col + b]]
        for source in sources:
            for dy, dx in offsets(config.radius, step).tolist():
                v, u = row + dy, col + dx
                if not (0 <= v < size and 0 <= u < size):
                    continue
                if source.limb[v, u] != maps.maps.limb[s, row, col]:
                    continue
                error = 0.0
                for a, b in window:
                    within = 0 <= v + a < size and 0 <= u + b < size
                    e = source.detail[:, v + a, u + b] if within else torch.zeros(3)
                    noisy = x[0, :, s, row + a, col + b]
                    error += float((noisy - (1 - sigma) * e).double().square().sum())
                differ = float((maps.cloth[:, s, row, col] - source.cloth[:, v, u]).square().sum())
                prior = (dy**2 + dx**2) / config.distance**2 + differ / config.cloth**2
                variance = ((1 - sigma) * config.spread) ** 2 + sigma**2
                logits.append(-prior / 2 - error / (2 * variance))
                centres.append(source.detail[:, v, u].double())
        if logits:
            e = torch.softmax(torch.tensor(logits, dtype=torch.float64), 0) @ torch.stack(centres)
            gain = (1 - sigma) * config.spread**2 / variance
            here = x[0, :, s, row, col].double()
            mean[0, :, s, row, col] = e + gain * (here - (1 - sigma) * e)
    return mean


@pytest.mark.parametrize(
    ("sigma", "spread"), [(0.05, 0.0), (0.3, 0.2), (0.6, 0.05), (0.9, 0.0), (1.0, 0.05)]
)
def test_the_denoiser_is_the_softmax_over_all_exemplars(sigma, spread):
    maps, sources = tiny()
    config = PatchConfig(radius=4, distance=3.0, cloth=0.2, spread=spread)
    x = torch.randn(1, 3, 2, 12, 12, generator=torch.Generator().manual_seed(1))
    found = ideal_denoiser(x, sigma, maps, sources, config)
    wanted = by_definition(x, sigma, maps, sources, config).float()
    compared = ~wanted.isnan()
    assert compared.sum() > 50 and torch.allclose(found[compared], wanted[compared], atol=1e-4)


def test_without_noise_the_input_comes_back():
    maps, sources = tiny()
    x = torch.randn(1, 3, 2, 12, 12)
    found = ideal_denoiser(x, 1e-4, maps, sources, PatchConfig(spread=0.1))
    known = ~found.isnan()
    assert known.any() and torch.allclose(found[known], x[known], atol=1e-3)
    # without a spread, what is an exemplar itself comes back, and nothing else can
    maps.seen[:] = False
    copy = sources[0].detail[None, :, None].expand(1, 3, 2, 12, 12)
    found = ideal_denoiser(copy, 1e-3, maps, sources, PatchConfig(spread=0.0))
    there = (sources[0].limb >= 0) & maps.maps.inside[0]
    assert torch.allclose(found[0, :, 0, there], sources[0].detail[:, there], atol=1e-5)


def test_in_pure_noise_the_answer_is_the_mean_of_all_exemplars():
    maps, sources = tiny()
    config = PatchConfig(radius=30, distance=1e6, cloth=1e6)  # all exemplars weigh the same
    x = torch.randn(1, 3, 2, 12, 12)
    found = ideal_denoiser(x, 1.0, maps, sources, config)
    step = coarseness(1.0)
    for s, row, col in ((1, 4, 3), (1, 9, 8)):
        lattice = torch.zeros(12, 12, dtype=torch.bool)
        lattice[row % step :: step, col % step :: step] = True
        limb = maps.maps.limb[s, row, col]
        every = torch.cat([e.detail[:, lattice & (e.limb == limb)] for e in sources], 1)
        assert torch.allclose(found[0, :, s, row, col], every.mean(1), atol=1e-5)


# --- carried detail ---


def seen_of(detail: torch.Tensor) -> Seen:
    return Seen(detail.expand(3, -1, -1), torch.zeros(3, 60, 60), torch.full((60, 60), TRUNK))


def test_patterns_recur_and_logos_and_edges_do_not():
    rows, columns = torch.meshgrid(torch.arange(60.0), torch.arange(60.0), indexing="ij")
    middle = (slice(15, 45), slice(15, 45))
    checks = torch.sin(rows * 2 * torch.pi / 9) + torch.sin(columns * 2 * torch.pi / 9)
    bands = torch.sin(rows * 2 * torch.pi / 10).sign()
    for pattern in (checks, bands):
        assert recurrence(seen_of(pattern))[middle].mean() > 0.9
    disc = (rows - 30) ** 2 + (columns - 30) ** 2 < 36
    logo = disc * (2 + torch.randn(60, 60, generator=torch.Generator().manual_seed(0)))
    zip_line = ((columns - 30).abs() < 2) * 2.0
    neckline = ((columns - 30).abs() - 0.7 * rows).abs().lt(2) * 2.0
    for single in (logo, zip_line, neckline):
        assert recurrence(seen_of(single))[middle][single[middle] != 0].mean() < 0.3


def test_stripes_are_carried_to_the_back_and_what_the_photo_saw_stays(rig, maps):
    front = maps.places[:, 2] == 0
    flat = torch.full((len(rig), 3), 0.5)
    avatar = person(rig, torch.where(front[:, None], stripes(rig), flat))
    found = DetailMaps.of(avatar, front)
    detail = carried_detail(found)
    assert torch.equal(detail[:, found.seen], found.detail[:, found.seen])
    trunk = (found.source.limb == TRUNK) & (found.maps.limb[1] == TRUNK)
    wanted, carried = found.source.detail[:, trunk], detail[:, 1, trunk]
    assert torch.corrcoef(torch.stack([wanted.flatten(), carried.flatten()]))[0, 1] > 0.8
    painted = found.painted(detail)
    assert torch.equal(painted.colors[front], avatar.gaussians.colors[front])
    assert (painted.colors - flat)[~front].abs().max() > 0.1


def test_nothing_is_carried_from_the_face(rig, maps):
    face = face_anchors(rig)
    checks = torch.rand(len(rig), 3, generator=torch.Generator().manual_seed(0))
    avatar = person(rig, torch.where(face[:, None], checks, torch.full_like(checks, 0.5)))
    found = DetailMaps.of(avatar, maps.places[:, 2] == 0)
    head = found.maps.limb[1] == HEAD
    change = (carried_detail(found) - found.detail)[:, 1, head]
    assert (found.source.limb == HEAD).any() and found.detail[:, 0].abs().max() > 1
    assert change.abs().max() < 0.02  # the blur of the smooth colours reaches out of the face


# --- as a prior ---


def test_it_is_a_prior_under_the_one_loop(rig, maps):
    front = maps.places[:, 2] == 0
    avatar = person(rig, torch.where(front[:, None], stripes(rig), torch.tensor(0.5)))
    turntable = render_turntable(avatar, static_orbit(4), front, size=(64, 32))
    known, prior = clip_condition(turntable), PatchPrior.of(avatar, front)
    assert isinstance(prior, Prior)
    start = prior.encode(known)
    # decoding what was encoded changes nothing: only the difference of the maps is painted
    assert torch.allclose(prior.decode(start.latents, known), as_clip(turntable.rgb), atol=1e-4)
    config = SDEditConfig(strength=1.0, num_inference_steps=2)
    first, second, other = (
        edit_clip(prior, known, config, generator=torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, second) and not torch.equal(first, other)
    back, ahead = (first - known.coarse)[:, :, 2], (first - known.coarse)[:, :, 0]
    assert back.abs().mean() > 3 * ahead.abs().mean()  # where the photo did not look


@pytest.mark.parametrize("visible", [torch.zeros(20_000), torch.ones(5)], ids=["none", "too few"])
def test_flags_that_do_not_fit_are_refused(rig, visible):
    with pytest.raises(InputError, match="visible"):
        PatchPrior.of(person(rig, stripes(rig)), visible.bool())
