"""A stage is computed once per key, and always read back from disk."""

import pytest

from toolkit.errors import InputError
from toolkit.run.folder import Record, RunFolder, digest


def run_stage(folder, value, calls):
    def compute(tick):
        calls.append(value)
        return Record(value=value)

    return folder.keep("value", Record, compute, file="value.json")["value"]


def test_resume_reuses_a_finished_stage_of_the_same_key(tmp_path):
    calls = []
    assert run_stage(RunFolder(tmp_path, key="a", resume=False), [1], calls) == [1]
    assert run_stage(RunFolder(tmp_path, key="a", resume=True), [2], calls) == [1]
    assert calls == [[1]]


@pytest.mark.parametrize("key,resume", [("b", True), ("a", False)])
def test_another_key_or_no_resume_computes_again(tmp_path, key, resume):
    calls = []
    run_stage(RunFolder(tmp_path, key="a", resume=False), [1], calls)
    assert run_stage(RunFolder(tmp_path, key=key, resume=resume), [2], calls) == [2]
    assert calls == [[1], [2]]


def test_a_stage_that_fails_leaves_no_marker_and_no_file(tmp_path):
    folder = RunFolder(tmp_path, key="a", resume=False)
    with pytest.raises(TypeError):
        run_stage(folder, {1, 2}, [])  # a set is no JSON: saving fails half-way
    assert not folder.file("value.json").exists()
    assert not list(folder.state.glob("*.done.json"))
    assert not list(tmp_path.rglob(".partial-*"))


def test_leftovers_of_a_killed_run_go_and_other_hidden_files_stay(tmp_path):
    (tmp_path / ".partial-video-1.mp4").touch()
    (tmp_path / ".config.json").touch()
    RunFolder(tmp_path, key="a", resume=True)
    assert [p.name for p in tmp_path.glob(".*")] == [".config.json"]


def test_a_file_in_place_of_the_folder_is_one_clear_error(tmp_path):
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(InputError, match="Choose another --out"):
        RunFolder(tmp_path / "out", key="a", resume=False)


def test_digest_separates_its_parts():
    assert digest("ab", "c") != digest("a", "bc")
    assert digest(b"ab", "c") == digest("ab", b"c")
