import pytest
import torch
import torch.nn.functional as F

from toolkit.errors import InputError
from toolkit.prior.orbit import static_orbit, turntable_cameras
from toolkit.prior.prior import Condition, PixelPrior
from toolkit.prior.sdedit import SDEditConfig, sdedit
from toolkit.prior.wan.grid import GridCodec, LatentGrid, latent_shape
from toolkit.refine.edit import as_clip, edit_clip, refine_clip
from toolkit.refine.turntable import Turntable


class Shuffled(GridCodec):
    """A lossless stand-in for a video VAE: pixels and frames are only moved into channels."""

    def __init__(self, close_loop=False):
        self.close_loop, self.seen = close_loop, []

    def to_latents(self, clip):
        batch, _, frames, height, width = clip.shape
        t, h, w = latent_shape(frames, height, width)
        clip = torch.cat([clip[:, :, :1].expand(-1, -1, 3, -1, -1), clip], dim=2)
        cells = clip.reshape(batch, 3, t, 4, h, 8, w, 8)
        return cells.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(batch, -1, t, h, w)

    def to_clip(self, latents):
        batch, _, t, h, w = latents.shape
        cells = latents.reshape(batch, 3, 4, 8, 8, t, h, w).permute(0, 1, 5, 2, 6, 3, 7, 4)
        return cells.reshape(batch, 3, 4 * t, 8 * h, 8 * w)[:, :, 3:]

    def condition(self, clip):
        self.seen.append(clip)
        return "told"

    def velocity(self, x, sigma, condition):
        assert condition == "told"
        return 0.3 * x + sigma


def clip_of(frames, height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, frames, height, width, generator=generator) * 2 - 1


@pytest.mark.parametrize(
    "frames,size,close,padded",
    [
        (13, (192, 96), False, (13, 192, 96)),
        (13, (192, 96), True, (17, 192, 96)),
        (12, (200, 90), True, (13, 208, 96)),
        (1, (16, 16), False, (1, 16, 16)),
        (8, (1, 17), False, (9, 16, 32)),
        (2, (32, 32), True, (5, 32, 32)),
    ],
)
def test_grid_pads_to_the_next_size_that_fits_and_back(frames, size, close, padded):
    grid = LatentGrid(frames, *size, close_loop=close)
    clip = clip_of(frames, *size)
    placed = grid.place(clip)
    assert grid.padded == padded == tuple(placed.shape[2:])
    assert torch.equal(grid.restore(placed), clip)
    assert grid.shape == latent_shape(*padded)


def test_padding_is_white_and_nothing_is_stretched():
    placed = LatentGrid(1, 30, 18).place(torch.zeros(1, 3, 1, 30, 18))
    assert int((placed == 1).sum()) == 3 * (32 * 32 - 30 * 18) and int((placed == 0).sum()) == 1620


def test_a_closed_clip_shows_the_first_view_after_the_last():
    grid = LatentGrid(13, 16, 16, close_loop=True)
    assert grid.views.tolist() == [*range(13), 0, 1, 2, 3]
    assert LatentGrid(12, 16, 16, close_loop=True).views.tolist() == [*range(12), 0]
    assert LatentGrid(13, 16, 16).views.tolist() == [*range(13)]


def test_published_token_counts():
    assert LatentGrid(21, 480, 832).num_tokens == 9_360
    assert LatentGrid(81, 480, 832).num_tokens == 32_760


@pytest.mark.parametrize("clip", [(4, 16, 16), (0, 16, 16), (6, 16, 16), (5, 24, 16), (5, 16, 0)])
def test_clips_that_a_vae_would_cut_are_refused(clip):
    with pytest.raises(InputError, match="wanted"):
        latent_shape(*clip)


def test_pooled_mask_keeps_a_cell_only_if_all_its_pixels_are_kept():
    keep = torch.ones(1, 1, 5, 32, 32)
    keep[0, 0, 0, 9, 9] = 0.25  # first frame: a cell of its own
    keep[0, 0, 3, 0, 31] = 0.0  # one of the four frames of the second latent frame
    pooled = LatentGrid(5, 32, 32).pool(keep)
    assert pooled.shape == (1, 1, 2, 4, 4)
    wanted = torch.ones(1, 1, 2, 4, 4)
    wanted[0, 0, 0, 1, 1], wanted[0, 0, 1, 0, 3] = 0.25, 0.0
    assert torch.equal(pooled, wanted)


def test_pooled_mask_of_padding_is_zero():
    pooled = LatentGrid(1, 16, 8).pool(torch.ones(1, 1, 1, 16, 8))
    assert pooled[0, 0, 0].tolist() == [[0, 0], [0, 0]]  # 4 + 8 + 4 pixels: no cell is all picture


def known_of(clip, seen=None):
    return Condition(
        torch.arange(clip.shape[2]).float(),
        torch.zeros(clip.shape[2]),
        reference=clip[:, :, 0],
        coarse=clip,
        seen=seen,
    )


@pytest.mark.parametrize("close", [False, True])
def test_editing_latents_is_sdedit_between_encode_and_decode(close):
    prior, clip = Shuffled(close), clip_of(13, 32, 16)
    config = SDEditConfig(0.6, 5, 3.0)
    seen = torch.zeros(1, 1, 13, 32, 16)
    edited = edit_clip(
        prior, known_of(clip, seen), config, generator=torch.Generator().manual_seed(3)
    )
    placed = LatentGrid(13, 32, 16, close_loop=close).place(clip)
    by_hand = sdedit(
        prior.velocity,
        prior.to_latents(placed),
        "told",
        config=config,
        generator=torch.Generator().manual_seed(3),
    )
    assert torch.equal(edited, prior.to_clip(by_hand)[:, :, :13])
    told = prior.seen[-1]
    assert told.coarse.shape[2] == len(told.azimuths_deg) == len(told.elevations_deg)
    assert told.azimuths_deg.tolist()[:13] == list(range(13))


def test_full_guidance_returns_what_the_photo_saw():
    prior, clip = Shuffled(), clip_of(5, 32, 32)
    keep = torch.zeros(1, 1, 5, 32, 32)
    keep[..., :16] = 1
    edited = edit_clip(
        prior,
        known_of(clip, keep),
        SDEditConfig(0.9, 6, guidance=1.0),
        generator=torch.Generator().manual_seed(0),
    )
    assert torch.allclose(edited[..., :16], clip[..., :16], atol=1e-5)
    assert float((edited - clip)[..., 16:].abs().mean()) > 0.1


def test_strength_zero_is_the_identity_even_with_a_lossy_vae():
    prior, clip = Shuffled(), clip_of(3, 20, 20)
    prior.to_clip = lambda x: torch.zeros(1, 3, 5, 32, 32)
    assert edit_clip(prior, known_of(clip), SDEditConfig(0.0, 6)) is clip


def turntable(views=5, size=(40, 20)):
    orbit = static_orbit(views)
    rgb = clip_of(views, *size)[0].permute(1, 2, 3, 0) / 2 + 0.5
    return Turntable(
        orbit,
        turntable_cameras(orbit, size=size),
        rgb,
        torch.ones(views, *size, 1),
        torch.zeros(views, *size, 1),
    )


def test_refine_clip_takes_both_kinds_of_prior():
    clip, config = turntable(), SDEditConfig(0.5, 4)
    generator = lambda: torch.Generator().manual_seed(1)  # noqa: E731
    on_latents = refine_clip(Shuffled(), clip, config, generator=generator())
    assert on_latents.shape == clip.rgb.shape and on_latents.min() >= 0 and on_latents.max() <= 1
    on_pixels = refine_clip(
        PixelPrior(lambda x, s, c: 0.3 * x + s), clip, config, generator=generator()
    )
    by_hand = sdedit(
        lambda x, s, c: 0.3 * x + s, as_clip(clip.rgb), config=config, generator=generator()
    )
    assert torch.equal(on_pixels, (by_hand[0].permute(1, 2, 3, 0).clamp(-1, 1) + 1) / 2)
    assert F.mse_loss(on_latents, on_pixels) > 1e-4  # other noise: a padded clip, in other places
