"""Shards, index and stored Gaussians: read back by our code and by others', whole or refused."""

import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from pretend_bulk import run

from toolkit.dataset.bulk import code_version as versions
from toolkit.dataset.bulk.config import BulkConfig, Gates, read_config
from toolkit.dataset.bulk.folder import SetFolder
from toolkit.dataset.bulk.manifest import Manifest
from toolkit.dataset.bulk.merge import merge
from toolkit.dataset.bulk.quantise import STEPS, decode, encode
from toolkit.dataset.bulk.tars import join, pack, read_samples, repack
from toolkit.dataset.bulk.verify import verify
from toolkit.errors import InputError, MissingFileError
from toolkit.gaussians import Gaussians


@pytest.fixture
def small(tmp_path):
    """A finished set of tiny samples, with everything that a set can hold."""
    run(tmp_path / "small", 12, rejects=(3,), poison=(7,))
    return SetFolder(tmp_path / "small")


# --- tar ---


def test_our_tar_is_what_pythons_tarfile_reads(tmp_path):
    members = {
        "0.json": b"{}",
        "0.data.bin": bytes(range(256)) * 5,
        "1.json": b"",
        "1.x": b"x" * 512,
    }
    path = tmp_path / "a.tar"
    path.write_bytes(join([pack(members)]))
    with tarfile.open(path) as tar:
        assert {m.name: tar.extractfile(m).read() for m in tar} == members
    samples = dict(read_samples(path))
    assert samples == {
        "0": {"json": b"{}", "data.bin": members["0.data.bin"]},
        "1": {"json": b"", "x": b"x" * 512},
    }
    assert join(repack(name, parts) for name, parts in samples.items()) == path.read_bytes()


@pytest.mark.parametrize("keep", [0, 100, 600, 1000, 1600])
def test_a_cut_tar_is_refused(tmp_path, keep):
    path = tmp_path / "a.tar"
    path.write_bytes(join([pack({"0.json": b"a" * 700, "1.json": b"b" * 700})])[:keep])
    with pytest.raises(InputError, match="cut off"):
        list(read_samples(path))


# --- Gaussians as integers ---


def random_pair(num=500, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape):
        return torch.rand(*shape, generator=generator)

    quats = torch.nn.functional.normalize(rand(num, 4) - 0.5, dim=1)
    first = Gaussians.from_colors(
        2 * rand(num, 3) - 1, quats, 0.001 + 0.02 * rand(num, 3), rand(num), rand(num, 3)
    )
    moved = first.replace(means=first.means + 0.01 * (rand(num, 3) - 0.5))
    return first, moved.recolored(1.1 * moved.colors - 0.05)


@pytest.mark.parametrize("name", STEPS)
def test_no_value_is_off_by_more_than_half_a_step(name):
    steps = STEPS[name]
    for before, after in zip(random_pair(), decode(encode(*random_pair(), steps)), strict=True):
        limits = {"means": steps.means, "opacities": steps.opacities, "colors": steps.colors}
        for what, step in limits.items():
            error = (getattr(before, what) - getattr(after, what)).abs().max()
            assert error <= 0.5 * step + 1e-6
        assert (before.scales.log() - after.scales.log()).abs().max() <= 0.5 * steps.scales + 1e-5
        cosine = (before.quats * after.quats).sum(1).abs().clamp(max=1)  # of half the angle
        angle = torch.rad2deg(2 * torch.arccos(cosine))
        assert angle.median() < 120 * steps.quats  # some half steps


def test_the_same_gaussians_give_the_same_bytes_and_others_do_not():
    steps = STEPS["fine"]
    data = encode(*random_pair(), steps)
    assert encode(*random_pair(), steps) == data != encode(*random_pair(seed=1), steps)
    again = decode(data)
    for before, after in zip(again, decode(encode(*again, steps)), strict=True):
        assert (before.means - after.means).abs().max() < 1e-6  # storing twice loses no more


def test_gaussians_that_cannot_be_stored_are_refused():
    first, moved = random_pair()
    shiny = first.replace(sh=torch.zeros(len(first), 4, 3))
    with pytest.raises(InputError, match="degree 1"):
        encode(shiny, shiny, STEPS["fine"])
    with pytest.raises(InputError, match="one number"):
        encode(first, random_pair(num=400)[1], STEPS["fine"])
    for damaged in (b"", encode(first, moved, STEPS["fine"])[:3000]):
        with pytest.raises(InputError, match="gaussians.npz"):
            decode(damaged)


# --- what a finished set promises ---


def test_a_flipped_byte_is_found_in_any_file(small):
    rng = np.random.default_rng(0)
    files = [p for p in small.path.rglob("*") if p.is_file()]
    kinds = {p.parent.name if p.parent != small.path else p.name for p in files}
    assert {"dataset.json", "index.parquet", "card.md", "shards", "rejects", "quarantine"} <= kinds
    assert verify(small) == []
    for path in files:
        data = path.read_bytes()
        for place in {0, len(data) - 1, int(rng.integers(len(data)))}:
            flipped = bytearray(data)
            flipped[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(flipped)
            problems = verify(small)
            assert problems and any(path.name in p for p in problems), f"{path} at {place}"
        path.write_bytes(data)
    assert verify(small) == []


def test_missing_and_strange_files_are_found(small):
    stranger = small.shards / "people-000099.tar"
    stranger.write_bytes(b"")
    assert verify(small) == ["shards/people-000099.tar does not belong to the set."]
    stranger.unlink()
    (small.shards / "people-000001.tar").rename(small.path / "moved.tar")
    assert len(verify(small)) == 2
    with pytest.raises(MissingFileError, match="synthesize"):
        verify(SetFolder(small.path / "shards"))


def test_verify_finds_what_checksums_cannot(small):
    """A shard whose samples are not those of the index, with every checksum brought up to date."""
    manifest = Manifest.load(small)
    manifest.shards[0].samples.popitem()
    manifest.save(small)
    assert any("people-000000.tar holds other samples" in p for p in verify(small))


def test_merged_sets_hold_each_sample_once(small, tmp_path):
    run(tmp_path / "second", 9, version="2")
    run(tmp_path / "third", 15, rejects=(3,), poison=(7,))  # its first 12 are those of `small`
    parts = [small.path, tmp_path / "second", tmp_path / "third"]
    merged = merge(parts, tmp_path / "merged")
    assert merged.people == 10 + 9 + 3 and merged.rejected == {"odd": 2} and merged.failed == 2
    out = SetFolder(tmp_path / "merged")
    assert verify(out) == []
    samples = {n: p for s in merged.shards for n, p in read_samples(out.path / s.file)}
    for part in parts:
        folder = SetFolder(part)
        for shard in Manifest.load(folder).shards:
            for name, content in read_samples(folder.path / shard.file):
                assert samples[name] == content
    with pytest.raises(InputError, match="merged set"):
        run(out.path, 40)
    with pytest.raises(InputError, match="not empty"):
        merge(parts[:2], out.path)
    (small.path / "card.md").write_text("other")
    with pytest.raises(InputError, match="card.md"):
        merge(parts, tmp_path / "again")


def test_pandas_reads_the_index(small):
    pandas = pytest.importorskip("pandas")
    table = pandas.read_parquet(small.index)
    assert table["index"].tolist() == [0, 1, 2, 4, 5, 6, 8, 9, 10, 11]
    assert table["metrics_square"].tolist() == [i**2 for i in table["index"]]
    assert table["sha256"].nunique() == 10 and table["metrics_unknown"].isna().all()


def test_webdataset_reads_the_shards(small):
    webdataset = pytest.importorskip("webdataset")
    shards = sorted(map(str, small.shards.glob("*.tar")))
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode())
    assert [s["json"]["index"] for s in samples] == [0, 1, 2, 4, 5, 6, 8, 9, 10, 11]
    assert all(len(s["data.bin"]) == 16 * (50 + s["json"]["index"]) for s in samples)


# --- versions and settings ---


def test_a_version_follows_the_code_and_not_its_comments(tmp_path, monkeypatch):
    package = tmp_path / "toolkit"
    package.mkdir()
    used, user = package / "used.py", package / "user.py"
    used.write_text("ONE = 1\n")
    user.write_text('"""Doc."""\nfrom toolkit.used import ONE\n\ndef stage():\n    return ONE\n')
    monkeypatch.setattr(versions, "ROOT", tmp_path)
    monkeypatch.setitem(sys.modules, "pretend_user", type(sys)("pretend_user"))
    sys.modules["pretend_user"].__file__ = str(user)

    def stage():
        pass

    stage.__module__ = "pretend_user"

    def version():
        versions._read.cache_clear()
        return versions.code_version(stage)

    first = version()
    user.write_text(user.read_text().replace('"""Doc."""', '"""Other."""\n\n# why\n'))
    assert version() == first
    used.write_text("ONE = 2\n")
    assert version() != first
    versions._read.cache_clear()


def test_settings_come_from_toml(tmp_path):
    path = tmp_path / "bulk.toml"
    path.write_text('seed = 3\nselection = ["hat=none"]\n[gates]\nmin_iou = 0.9\n')
    config = read_config(path, selection=["gender=woman"])
    assert config == BulkConfig(
        seed=3, selection=("hat=none", "gender=woman"), gates=Gates(min_iou=0.9)
    )
    assert read_config(None) == BulkConfig()


@pytest.mark.parametrize(
    "text, message",
    [
        ("seeds = 3", "seeds"),
        ("seed = ", "TOML"),
        ("seed = -1", "seed"),
        ('steps = "rough"', "rough"),
        ('selection = ["hat=crown"]', "crown"),
        ("[gates]\niou = 1", "iou"),
    ],
)
def test_bad_settings_are_refused(tmp_path, text, message):
    path = tmp_path / "bulk.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_config(path)
    with pytest.raises(MissingFileError):
        read_config(tmp_path / "none.toml")


def test_the_committed_set_is_whole_and_what_its_settings_say():
    samples = Path(__file__).parents[1] / "data/samples"
    folder, settings = SetFolder(samples / "people_32"), samples / "people_32.toml"
    assert verify(folder) == []
    manifest = Manifest.load(folder)
    wanted = read_config(settings).to_json()
    assert manifest.people == 32 and {k: manifest.settings[k] for k in wanted} == wanted
