"""Files appear whole or not at all; a missing file names the command that makes it."""

import stat

import pytest

from toolkit.errors import MissingFileError
from toolkit.run import files
from toolkit.run.files import atomic_path


def test_file_appears_only_when_the_block_succeeds(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with atomic_path(path) as tmp:
        tmp.write_text("whole")
        assert not path.exists() and tmp.parent == path.parent and tmp.suffix == ".txt"
    assert path.read_text() == "whole"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_failure_keeps_the_old_file_and_leaves_nothing(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as tmp:
        tmp.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_two_writers_do_not_share_a_temporary_name(tmp_path):
    with atomic_path(tmp_path / "a.txt") as one, atomic_path(tmp_path / "a.txt") as two:
        assert one != two


def test_result_is_readable_by_others(tmp_path):
    with atomic_path(tmp_path / "a.txt") as tmp:
        tmp.write_text("x")
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o644


def test_missing_model_names_its_command(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "DATA_DIR", tmp_path)
    with pytest.raises(MissingFileError, match="python tools/bake_it.py"):
        files.model_path("none.npz", made_by="python tools/bake_it.py")
    with pytest.raises(MissingFileError, match="none.png.*git checkout"):
        files.sample_path("none.png")
