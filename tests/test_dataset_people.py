"""A small real set: what is stored is what was computed, and others can read it."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pretend_bulk import bytes_of

from toolkit.cli import main
from toolkit.dataset.bulk.config import TRIED, Gates, read_config
from toolkit.dataset.bulk.folder import SetFolder
from toolkit.dataset.bulk.index import read_index
from toolkit.dataset.bulk.manifest import Manifest
from toolkit.dataset.bulk.measures import failing_gate, measure, round_trip_db
from toolkit.dataset.bulk.pack import store
from toolkit.dataset.bulk.people import PeopleRecipe
from toolkit.dataset.bulk.pictures import unwebp
from toolkit.dataset.bulk.quantise import MIN_DB, STEPS, Steps, decode
from toolkit.dataset.bulk.recipe import Rejected
from toolkit.dataset.bulk.steps import Draft, ImageModels, draw_picture, fit_body, make_coarse
from toolkit.dataset.bulk.tars import read_samples
from toolkit.dataset.bulk.verify import verify
from toolkit.dataset.images import Drawing
from toolkit.dataset.records import AttributeRecord

SETTINGS = """photo_px = 320
num_gaussians = 10000
fit_steps = 4
shard_size = 2
steps = "compact"
selection = ["hat=none"]
"""
COUNT = 3


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    path = tmp_path_factory.mktemp("settings") / "small.toml"
    path.write_text(SETTINGS)
    return path


def command(out, settings, *more):
    return [
        "synthesize",
        "--count",
        str(COUNT),
        "--out",
        str(out),
        "--config",
        str(settings),
        *more,
    ]


@pytest.fixture(scope="module")
def people(tmp_path_factory, settings):
    """The command's set, and every sample of it."""
    path = tmp_path_factory.mktemp("people") / "set"
    assert main(command(path, settings)) == 0
    folder = SetFolder(path)
    shards = Manifest.load(folder).shards
    return folder, {n: p for shard in shards for n, p in read_samples(path / shard.file)}


@pytest.fixture(scope="module")
def models(settings):
    return PeopleRecipe(read_config(settings)).load("avatars")


def test_the_set_is_whole_and_as_asked(people):
    folder, samples = people
    assert verify(folder) == [] and len(samples) == COUNT
    rows = read_index(folder)
    assert [row["index"] for row in rows] == [0, 1, 2]
    assert {row["attributes_hat"] for row in rows} == {"none"}
    assert len({row["image_image_seed"] for row in rows}) == COUNT
    card = (folder.path / "card.md").read_text()
    assert "Cramer's V" in card and "CC0-1.0" in card and "| hat | none 100 % |" in card
    assert Image.open(folder.path / "sheet.jpg").size[0] > 900


def test_storing_loses_little_and_takes_little(people):
    _, samples = people
    for parts in samples.values():
        about = json.loads(parts["json"])
        assert about["metrics"]["round_trip_psnr_db"] >= 45
        assert sum(map(len, parts.values())) < 1.5e6
        coarse, refined = decode(parts["gaussians.npz"])
        assert len(coarse) == len(refined) == about["num_gaussians"] == 10_000
        assert 0 < (coarse.means - refined.means).norm(dim=1).mean() < 0.01
        assert unwebp(parts["photo.webp"]).shape == (320, 320, 3)
        assert np.asarray(Image.open(io.BytesIO(parts["mask.png"]))).shape == (320, 320)


def test_the_stored_photo_gives_the_stored_body_and_avatar(people, models):
    """Nothing that was used is lost: the stages run again on what the shard holds."""
    _, samples = people
    parts = next(iter(samples.values()))
    about = json.loads(parts["json"])
    record = AttributeRecord(about["index"], about["seed"], about["attributes"])
    draft = make_coarse(models, fit_body(models, Draft(record, photo=parts["photo.webp"])))
    for name in ("betas", "pose", "transl"):
        stored = torch.tensor(about["body"][name])
        assert torch.allclose(getattr(draft.body, name), stored, atol=1e-4)
    coarse, _ = decode(parts["gaussians.npz"])
    assert (coarse.means - draft.coarse.gaussians.means).abs().max() < 2e-4
    assert round_trip_db([draft.coarse], [coarse], draft.body) >= 45


def test_the_gates_stop_avatars_that_went_astray(people, models):
    _, samples = people
    parts = next(iter(samples.values()))
    about = json.loads(parts["json"])
    assert failing_gate(about["metrics"], Gates()) is None
    record = AttributeRecord(about["index"], about["seed"], about["attributes"])
    draft = make_coarse(models, fit_body(models, Draft(record, photo=parts["photo.webp"])))

    def gate(means):
        moved = replace(draft.coarse, gaussians=draft.coarse.gaussians.replace(means=means))
        metrics = measure(draft.picture, draft.body, draft.coarse, moved)
        return failing_gate(metrics, Gates())

    means = draft.coarse.gaussians.means
    wild = torch.randn(means.shape, generator=torch.Generator().manual_seed(0))
    assert gate(means) is None
    assert gate(means + torch.tensor([0.2, 0.0, 0.0]))[0] == "silhouette does not fit"
    assert gate(means + 0.003 * wild)[0] == "Gaussians drifted"


def test_compact_takes_larger_steps_only_while_nobody_sees_it(people, models, monkeypatch):
    _, samples = people
    about = json.loads(next(iter(samples.values()))["json"])
    record = AttributeRecord(about["index"], about["seed"], about["attributes"])
    photo = next(iter(samples.values()))["photo.webp"]
    draft = make_coarse(models, fit_body(models, Draft(record, photo=photo)))
    draft = replace(draft, refined=draft.coarse)
    (data, db), (fine, fine_db) = store(draft, TRIED["compact"]), store(draft, TRIED["fine"])
    assert db >= MIN_DB <= fine_db and len(data) <= len(fine)
    monkeypatch.setitem(STEPS, "rough", Steps(means=0.02))
    with pytest.raises(Rejected, match="storing"):
        store(draft, ["rough"])


class Empty:
    """Draws a wall, three times out of three."""

    calls = 0

    def draw(self, prompt, *, seed):
        self.calls += 1
        image = np.random.default_rng(seed).integers(90, 110, (256, 256, 3)).astype(np.uint8)
        return Drawing(image, None)


def test_a_picture_without_a_person_is_drawn_again_and_then_rejected(settings):
    config = read_config(settings)
    record, maker = PeopleRecipe(config).tasks(1)[0].start.record, Empty()
    with pytest.raises(Rejected, match="nobody") as caught:
        draw_picture(ImageModels(maker, config), Draft(record))
    assert maker.calls == 3 and Image.open(io.BytesIO(caught.value.thumbnail)).size == (128, 128)


def test_a_strangers_script_draws_the_people(people, tmp_path):
    """Twenty lines with webdataset and numpy only."""
    pytest.importorskip("webdataset")
    folder, samples = people
    script = Path(__file__).with_name("read_shard_elsewhere.py")
    assert len([line for line in script.read_text().splitlines() if line]) <= 30
    shard = folder.shards / "people-000000.tar"
    out = tmp_path / "points.npy"
    subprocess.run([sys.executable, str(script), str(shard), str(out)], check=True, cwd=tmp_path)
    for picture, parts in zip(np.load(out), samples.values(), strict=False):
        drawn = (picture < 1).any(-1)
        rows = np.flatnonzero(drawn.any(1))
        assert 1.4 < (rows[-1] - rows[0]) / 120 < 2.2  # the height of a person, metres
        _, refined = decode(parts["gaussians.npz"])
        wanted = refined.colors.clamp(0, 1).mean(0).numpy()
        assert np.abs(picture[drawn].mean(0) - wanted).max() < 0.15


def test_the_library_datasets_reads_the_shards(people, tmp_path):
    datasets = pytest.importorskip("datasets")
    folder, samples = people
    files = sorted(map(str, folder.shards.glob("*.tar")))
    rows = datasets.load_dataset(
        "webdataset", data_files=files, split="train", cache_dir=str(tmp_path)
    )
    assert [row["__key__"] for row in rows] == list(samples)
    assert rows[0]["photo.webp"].size == (320, 320)
    assert rows[0]["json"]["attributes"]["hat"] == "none"


def test_the_command_tells_mistakes_in_one_line(people, settings, capsys):
    folder, _ = people
    for arguments, message in (
        (command(folder.path, settings, "--set", "hat=crown"), "crown"),
        (command(folder.path, settings, "--set", "gender=woman"), "differs in: selection"),
        (["dataset", "verify", str(folder.shards)], "does not exist"),
        (["dataset", "info", str(folder.shards)], "does not exist"),
    ):
        assert main(arguments) == 2
        assert message in capsys.readouterr().err
    assert main(["dataset", "verify", str(folder.path)]) == 0
    assert main(["dataset", "info", str(folder.path)]) == 0
    assert "3 people of 3 records, finished" in capsys.readouterr().out


def test_a_sheet_is_drawn(people, tmp_path):
    folder, _ = people
    out = tmp_path / "two.jpg"
    assert main(["dataset", "sheet", str(folder.path), "--out", str(out), "--num", "2"]) == 0
    assert Image.open(out).height < 200


def made(out):
    """Whether a sample is finished: alone, or already in a shard with its neighbour."""
    return any((out / "work").glob("0*.tar")) or any((out / "shards").glob("*.tar"))


@pytest.mark.slow
def test_a_killed_run_of_real_stages_ends_with_the_same_bytes(people, settings, tmp_path):
    folder, out = people[0], tmp_path / "set"
    words = [sys.executable, "-m", "toolkit", *command(out, settings, "--workers", "2")]
    driver = subprocess.Popen(words, env=os.environ | {"TQDM_DISABLE": "1"})
    deadline = time.monotonic() + 300
    while not made(out) and time.monotonic() < deadline:
        time.sleep(0.05)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert driver.returncode == -signal.SIGKILL
    assert main(command(out, settings)) == 0
    assert bytes_of(out) == bytes_of(folder.path)
