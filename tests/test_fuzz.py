"""Damaged files for every reader, in short; `python -m experiments.fuzz` is the long run."""

import signal
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from experiments import fuzz, fuzz_mutate
from experiments.fuzz_targets import TARGETS
from toolkit.errors import ToolkitError


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_a_damaged_file_is_read_or_refused(target, tmp_path):
    """Nothing else: no other error, no waiting, no file left behind."""
    before = signal.signal(signal.SIGALRM, fuzz._alarm)
    try:
        trial = fuzz.Trial(target, tmp_path / "files")
        fuzz.batch(
            trial.execute, 0, {"photo": 25, "splats": 2, "command export": 25}.get(target.name, 60)
        )
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not trial.kinds
    assert not any(trial.counts[kind] for kind in ("crashes", "hangs", "partial outputs"))
    assert trial.counts["refused"] > 0
    assert trial.counts["executions"] == trial.counts["read"] + trial.counts["refused"]


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_the_whole_files_are_read(target, tmp_path):
    seeds = target.seeds()
    for i, data in enumerate(seeds):
        path = tmp_path / f"a{target.endings[i % len(target.endings)]}"
        path.write_bytes(data)
        target.read(path)


class Pretend:
    """A reader that does what it must not, by the file's first byte."""

    name, endings = "pretend", (".bin",)

    @staticmethod
    def seeds():
        return [bytes([kind]) * 8 for kind in range(5)]

    @staticmethod
    def read(path):
        kind = path.read_bytes()[0]
        if kind == 1:
            raise ToolkitError("no")
        if kind == 2:
            raise KeyError("x")
        if kind == 3:
            raise fuzz.Hang
        if kind == 4:
            path.with_name("half").touch()


def test_what_a_reader_must_not_do_is_counted_and_its_file_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz, "damaged", lambda seeds, which, edits, inside: seeds[which])
    trial = fuzz.Trial(Pretend, tmp_path / "files")
    trial.execute([(0, 0, 0)])
    assert trial.counts == dict.fromkeys(fuzz.COUNTS, 1) | {"executions": 5}
    assert trial.kinds == {"KeyError in test_fuzz.py": 1}
    assert len(list((tmp_path / "files" / "failures").iterdir())) == 3


def test_the_same_numbers_are_the_same_damage(tmp_path):
    drawn = [[], []]
    for draws in drawn:
        fuzz.batch(draws.append, 3, 20)
    assert drawn[0] == drawn[1] and len(drawn[0]) > 10
    seeds = [bytes(range(200)), b"hello " * 30]
    for edits in drawn[0]:
        pair = {fuzz_mutate.damaged(seeds, 0, edits, False) for _ in range(2)}
        assert len(pair) == 1


def test_damage_behind_checksums_gets_to_the_reader(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.arange(50))
    edits = [(3, 0xFFFF, 5), (0, 0x8000, 64 * 3 + 7)]
    data = fuzz_mutate.damaged([(tmp_path / "a.npz").read_bytes()], 0, edits, True)
    (tmp_path / "b.npz").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "b.npz") as archive:
        assert archive.testzip() is None  # every checksum is right
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "a.png")
    plain = (tmp_path / "a.png").read_bytes()
    wrong = plain[:20] + b"\x77" + plain[21:]  # in the header: its height
    right = fuzz_mutate._with_checksums(wrong)
    length = struct.unpack(">I", right[8:12])[0]
    checksum = struct.unpack(">I", right[16 + length : 20 + length])[0]
    assert checksum == zlib.crc32(right[12 : 16 + length]) and right != wrong
