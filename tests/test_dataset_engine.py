"""The engine of one machine: deaths at any point, poison, full disks; the same bytes in the end."""

import errno
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pretend_bulk import bytes_of, run

from toolkit.dataset.bulk import folder as folder_module
from toolkit.dataset.bulk.folder import DiskError, SetFolder
from toolkit.dataset.bulk.manifest import Manifest
from toolkit.dataset.bulk.verify import verify
from toolkit.errors import InputError

SCRIPT = Path(__file__).with_name("pretend_bulk.py")
COUNT = 24


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The set of an undisturbed run."""
    path = tmp_path_factory.mktemp("sets") / "whole"
    run(path, COUNT, rejects=(3, 17))
    return path


def drive(out, **options):
    """A driver of its own, in a process group of its own."""
    options = {"count": COUNT, "rejects": [3, 17]} | options
    command = [sys.executable, str(SCRIPT), str(out), json.dumps(options)]
    env = os.environ | {"TQDM_DISABLE": "1"}
    return subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)


def made(out):
    """How many samples are on the disk, in whatever form."""
    folder = SetFolder(out)
    shards = Manifest.load(folder).shards if folder.manifest.is_file() else []
    names = [name for shard in shards for name in shard.samples]
    return len({n[:6] for n in [*names, *(p.name for p in folder.work.glob("[0-9]*.tar"))]})


def children_of(pid):
    """Workers of a driver, without the process that tracks shared memory."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"spawn_main" in (stat.parent / "cmdline").read_bytes():
                found.append(int(stat.parent.name))
        except (OSError, IndexError):
            pass  # it has ended in between
    return found


def test_the_bytes_do_not_depend_on_the_number_of_workers(whole, tmp_path):
    run(tmp_path / "set", COUNT, workers=3, rejects=(3, 17))
    assert bytes_of(tmp_path / "set") == bytes_of(whole)
    assert verify(SetFolder(whole)) == []


def test_nothing_is_lost_and_nothing_is_there_twice(whole):
    manifest = Manifest.load(SetFolder(whole))
    names = [name for shard in manifest.shards for name in shard.samples]
    assert [int(name.split("-")[0]) for name in names] == sorted({*range(COUNT)} - {3, 17})
    assert manifest.rejected == {"odd": 2} and manifest.failed == 0
    assert not (whole / "work").exists()


def test_ten_drivers_killed_one_after_the_other(whole, tmp_path):
    out, rng = tmp_path / "set", random.Random(0)
    for _ in range(10):
        driver, before = drive(out, seconds=0.06, workers=2), made(out)
        deadline = time.monotonic() + 30
        while made(out) <= before and driver.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.05))
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        assert made(out) > before or driver.returncode == 0
    assert drive(out, seconds=0.0, workers=2).wait() == 0
    assert bytes_of(out) == bytes_of(whole)


def test_ten_workers_killed_in_one_run(whole, tmp_path):
    out = tmp_path / "set"
    driver, killed, rng = drive(out, seconds=0.1, workers=2), 0, random.Random(1)
    while driver.poll() is None:
        # two new samples between two deaths, so that none meets with `MAX_DEATHS`
        if killed < 10 and made(out) >= 2 * (killed + 1) and (workers := children_of(driver.pid)):
            os.kill(rng.choice(workers), signal.SIGKILL)
            killed += 1
        time.sleep(0.01)
    assert driver.returncode == 0, driver.stderr.read()
    assert killed == 10
    assert bytes_of(out) == bytes_of(whole)


def test_workers_end_with_their_driver(tmp_path):
    driver = drive(tmp_path / "set", seconds=5, workers=2)
    deadline = time.monotonic() + 30
    while len(workers := children_of(driver.pid)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    driver.kill()
    driver.wait()
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(workers) == 2 and not any(Path(f"/proc/{pid}").exists() for pid in workers)


class Death(BaseException):
    """Stands for a death of the process: no `except Exception` sees it."""


@pytest.mark.parametrize("when", ["before", "after"])
def test_death_at_every_single_write(tmp_path, monkeypatch, when):
    """In-process, so that every point is reached: before and after each file gets its name."""
    run(tmp_path / "whole", 7, rejects=(3,), shard_size=3)
    rename, left, wanted = os.replace, 0, bytes_of(tmp_path / "whole")

    def dying(source, target):
        nonlocal left
        left -= 1
        if left == 0 and when == "before":
            raise Death
        rename(source, target)
        if left == 0:
            raise Death

    monkeypatch.setattr(os, "replace", dying)
    for point in range(1, 100):
        out, left = tmp_path / str(point), point
        try:
            run(out, 7, rejects=(3,), shard_size=3)
            break
        except Death:
            left = 0
            run(out, 7, rejects=(3,), shard_size=3)
        assert bytes_of(out) == wanted, f"death at write {point}"
        shutil.rmtree(out)
    assert 20 < point < 99  # more writes than samples, and the last run was not disturbed


def test_a_sample_that_kills_its_process_is_put_into_quarantine(tmp_path):
    manifest = run(tmp_path, 6, workers=2, killers=(2,), dies_once=(4,), marks=str(tmp_path))
    assert manifest.people == 5 and manifest.failed == 1
    note = json.loads((tmp_path / "quarantine" / "000002.json").read_text())
    assert "code -9" in note["traceback"]


def test_poison_is_put_into_quarantine_with_its_traceback(tmp_path):
    manifest = run(tmp_path, 8, workers=2, poison=(1, 5))
    note = json.loads((tmp_path / "quarantine" / "000005.json").read_text())
    assert manifest.people == 6 and manifest.failed == 2
    assert note["stage"] == "second" and "ZeroDivisionError: poison 5" in note["traceback"]
    assert verify(SetFolder(tmp_path)) == []


def test_a_reject_is_logged_with_reason_and_picture(whole):
    note = json.loads((whole / "rejects" / "000003.json").read_text())
    assert (note["reason"], note["detail"]) == ("odd", "it is 3")
    assert (whole / "rejects" / "000003.jpg").read_bytes() == b"picture"


def test_a_near_duplicate_is_refused_in_the_order_of_the_records(tmp_path):
    for workers in (1, 3):
        out = tmp_path / str(workers)
        assert run(out, 9, workers=workers, hashed=True).rejected == {"near-duplicate": 4}
        names = [n for shard in Manifest.load(SetFolder(out)).shards for n in shard.samples]
        assert [int(name[:6]) for name in names] == [0, 2, 4, 6, 8]
    assert bytes_of(tmp_path / "1") == bytes_of(tmp_path / "3")


def test_a_set_is_topped_up(whole, tmp_path):
    for count in (2, 11, COUNT, COUNT):
        run(tmp_path, count, rejects=(3, 17))
    assert bytes_of(tmp_path) == bytes_of(whole)


def test_a_finished_set_is_left_alone(whole):
    before = {p: p.stat().st_mtime_ns for p in whole.rglob("*") if p.is_file()}
    run(whole, COUNT, rejects=(3, 17))
    after = {p: p.stat().st_mtime_ns for p in whole.rglob("*") if p.is_file()}
    assert {p: t for p, t in after.items() if p in before} == before


# --- what a user can do wrong, and what a disk can ---


@pytest.mark.parametrize(
    "change, message",
    [
        ({"count": 5}, "at least 24"),
        ({"version": "2"}, "version of first"),
        ({"poison": (1,)}, "poison"),
        ({"shard_size": 6}, "shard_size"),
        ({"workers": 0}, "workers 0"),
        ({"engine": "spark"}, "spark"),
    ],
)
def test_another_set_in_the_folder_is_not_touched(whole, change, message):
    before = bytes_of(whole)
    with pytest.raises(InputError, match=message):
        run(whole, **({"count": COUNT} | change))
    assert bytes_of(whole) == before


def test_two_runs_in_one_folder(tmp_path):
    with SetFolder(tmp_path).locked(), pytest.raises(InputError, match="one run at a time"):
        run(tmp_path, 3)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DiskError, match="can be written"):
        run(tmp_path / "file" / "set", 3)
    with pytest.raises(InputError, match="a folder"):
        run(tmp_path / "file", 3)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_is_one_error_and_costs_nothing(whole, tmp_path, monkeypatch, workers):
    """The limit on the size of a file is the kernel's: the shard does not fit, its samples do."""

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (8000, resource.RLIM_INFINITY))

    command = [sys.executable, str(SCRIPT), str(tmp_path / "set")]
    options = {"count": COUNT, "rejects": [3, 17], "workers": workers}
    failed = subprocess.run(
        [*command, json.dumps(options)], preexec_fn=limited, capture_output=True, text=True
    )
    last = failed.stderr.strip().splitlines()[-1]
    assert failed.returncode and last.startswith("toolkit.dataset.bulk.folder.DiskError: Output")
    assert "File too large" in last and "same command goes on" in last
    assert not list((tmp_path / "set" / "shards").glob("*"))
    run(tmp_path / "set", COUNT, rejects=(3, 17))
    assert bytes_of(tmp_path / "set") == bytes_of(whole)


def test_earlier_shards_survive_a_full_disk(whole, tmp_path, monkeypatch):
    real, left = os.fsync, 20

    def full(handle):
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(folder_module.os, "fsync", full)
    with pytest.raises(DiskError, match="No space left"):
        run(tmp_path, COUNT, rejects=(3, 17))
    manifest, before = Manifest.load(SetFolder(tmp_path)), bytes_of(whole)
    assert 0 < len(manifest.shards) < 5
    assert all((tmp_path / s.file).read_bytes() == before[s.file] for s in manifest.shards)
    assert "not finished" in verify(SetFolder(tmp_path))[0]
    monkeypatch.undo()
    run(tmp_path, COUNT, rejects=(3, 17))
    assert bytes_of(tmp_path) == before


def test_a_shard_cut_in_the_middle(whole, tmp_path):
    out = tmp_path / "set"
    shutil.copytree(whole, out)
    shard = out / "shards" / "people-000002.tar"
    shard.write_bytes(shard.read_bytes()[:3000])
    with pytest.raises(InputError, match="people-000002.tar: got a file that was cut off"):
        run(out, COUNT + 3, rejects=(3, 17))
    assert [p for p in verify(SetFolder(out)) if "people-000002" in p]
    shard.unlink()
    run(out, COUNT + 3, rejects=(3, 17))
    run(tmp_path / "other", COUNT + 3, rejects=(3, 17))
    assert bytes_of(out) == bytes_of(tmp_path / "other")
