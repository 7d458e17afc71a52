import numpy as np
import pytest
import torch

from toolkit.errors import MissingFileError
from toolkit.prior.turntable.clips import ClipStore, to_model, to_pictures


def write_shard(folder, name, first, people=2, views=5):
    rng = np.random.default_rng(first)
    angles = np.tile(np.arange(views, dtype=np.float32) * 72, (people, 1))
    np.savez(
        folder / name,
        clips=rng.integers(0, 256, (people, 2, views, 16, 8, 3), np.uint8),
        seen=rng.integers(0, 256, (people, views, 16, 8), np.uint8),
        seeds=np.arange(first, first + people),
        azimuths_deg=angles,
        elevations_deg=0 * angles + 3,
    )


@pytest.fixture
def folder(tmp_path):
    write_shard(tmp_path, "train_0000000.npz", 0)
    return tmp_path


def test_units_round_trip():
    clips = torch.randint(0, 256, (2, 3, 4, 5, 3), dtype=torch.uint8)
    assert torch.allclose(to_pictures(to_model(clips)[1]) * 255, clips[1].float(), atol=1e-3)


def test_new_shards_are_picked_up_and_splits_kept_apart(folder):
    store = ClipStore(folder)
    write_shard(folder, "train_0000002.npz", 2, people=3)
    write_shard(folder, "val_0000000.npz", 9)
    assert len(store) == 2 and store.refresh() == 5 and len(ClipStore(folder, split="val")) == 2


def test_pair_holds_the_clips_and_either_front(folder):
    store = ClipStore(folder)
    pair = store.pair([1, 0])
    with np.load(folder / "train_0000000.npz") as file:
        truth = torch.from_numpy(file["clips"][1, 0])
    assert torch.allclose(to_pictures(pair.truth[0]), truth / 255, atol=1e-5)
    assert torch.equal(pair.reference, pair.truth[:, :, 0])
    assert torch.equal(store.pair([1], coarse_reference=True).reference, pair.coarse[:1, :, 0])
    assert pair.condition(repair=False).coarse is None and pair.condition(repair=False).seen is None
    assert pair.condition(repair=True).seen.shape == (2, 1, 5, 16, 8)


def test_mirror_twice_is_the_identity_and_negates_azimuths(folder):
    pair = ClipStore(folder).pair([0])
    mirrored = pair.mirrored()
    assert torch.equal(mirrored.azimuths_deg, -pair.azimuths_deg)
    assert torch.equal(mirrored.truth[..., 0], pair.truth[..., -1])
    assert torch.equal(mirrored.mirrored().coarse, pair.coarse)


def test_a_third_clip_is_the_one_with_carried_colours(folder):
    with np.load(folder / "train_0000000.npz") as file:
        arrays = dict(file)
    arrays["clips"] = np.concatenate([arrays["clips"], 255 - arrays["clips"][:, :1]], axis=1)
    np.savez(folder / "train_0000000.npz", **arrays)
    pair = ClipStore(folder).pair([0])
    assert torch.allclose(pair.carried, -pair.truth, atol=1e-5)
    assert torch.equal(pair.mirrored().carried, pair.carried.flip(-1))
    some = pair.views(torch.tensor([3, 1]))
    assert torch.equal(some.condition(repair=True).carried, pair.carried[:, :, [3, 1]])
    assert pair.condition(repair=False).carried is None


def test_draw_is_repeatable_and_keeps_views_and_angles_together(folder):
    store = ClipStore(folder)
    first, second = (store.draw(2, 3, torch.Generator().manual_seed(4)) for _ in range(2))
    assert first.truth.shape == (2, 3, 3, 16, 8) and torch.equal(first.truth, second.truth)
    whole = [p for i in (0, 1) for p in (store.pair([i]), store.pair([i]).mirrored())]
    for row in range(2):
        for t in range(3):
            hits = [
                bool((p.truth[0, :, v] == first.truth[row, :, t]).all())
                for p in whole
                for v in range(5)
                if p.azimuths_deg[0, v] == first.azimuths_deg[row, t]
            ]
            assert any(hits)


def test_empty_folder_names_the_command(tmp_path):
    with pytest.raises(MissingFileError, match="tools.train.clips"):
        ClipStore(tmp_path)
