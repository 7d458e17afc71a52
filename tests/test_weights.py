"""The table of weights, and where they are located."""

import json
import os
import re
import subprocess
import sys

import pytest

from toolkit.errors import InputError, MissingFileError
from toolkit.weights.commands import fetch_command, weights_dir
from toolkit.weights.search import locate, missing_files, require
from toolkit.weights.table import WEIGHTS


@pytest.fixture
def places(tmp_path, monkeypatch):
    """An empty TOOLKIT_WEIGHTS and an empty hub cache."""
    monkeypatch.setenv("TOOLKIT_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


def write(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"12345")
    return folder


@pytest.mark.parametrize("weight", WEIGHTS.values(), ids=lambda w: w.name)
def test_row_is_whole(weight):
    """A row pins a full commit or says that it does not, and names a licence and a command."""
    assert weight.revision is None or re.fullmatch("[0-9a-f]{40}", weight.revision)
    assert weight.revision or not weight.on_hub or weight.pin == "main (unpinned)"
    assert weight.licence and weight.files and weight.source in fetch_command(weight)
    assert str(weights_dir() / weight.name) in fetch_command(weight)
    if weight.on_hub:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", weight.source)
        assert not weight.revision or weight.revision in fetch_command(weight)
    if "non-commercial" in weight.licence.lower() or "NC" in weight.licence:
        assert weight.note, "a licence that binds needs a note"


def test_the_papers_models_are_listed():
    sources = {weight.source for weight in WEIGHTS.values()}
    assert {
        "3DAIGC/LHM-MINI",
        "3DAIGC/LHM-500M",
        "3DAIGC/LHM-500M-HF",
        "3DAIGC/LHM-1B",
        "3DAIGC/LHM-1B-HF",
        "Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
        "Wan-AI/Wan2.1-T2V-14B-Diffusers",
        "meta-llama/Llama-3.3-70B-Instruct",
        "black-forest-labs/FLUX.1-dev",
        "black-forest-labs/FLUX.1-schnell",
    } <= sources


def test_nothing_there(places):
    located = locate(WEIGHTS["lhm-mini"])
    assert located.folder is None and located.missing == WEIGHTS["lhm-mini"].files
    assert places / "weights" / "lhm-mini" in located.looked
    with pytest.raises(MissingFileError, match="hf download 3DAIGC/LHM-MINI"):
        require("lhm-mini")


def test_own_folder_is_found(places):
    folder = write(places / "weights" / "lhm-mini", "config.json", "model.safetensors")
    assert require("lhm-mini") == folder and locate(WEIGHTS["lhm-mini"]).bytes == 10


def test_half_a_folder_is_incomplete(places):
    write(places / "weights" / "lhm-mini", "config.json")
    located = locate(WEIGHTS["lhm-mini"])
    assert located.folder and not located.complete and located.missing == ("model.safetensors",)


def test_nested_file_is_found(places):
    write(places / "weights" / "smplx", "models/smplx/SMPLX_NEUTRAL.npz")
    assert locate(WEIGHTS["smplx"]).complete


def test_only_the_pinned_snapshot_counts(places):
    weight = WEIGHTS["lhm-1b-hf"]
    repository = places / "hub" / "models--3DAIGC--LHM-1B-HF" / "snapshots"
    write(repository / ("0" * 40), *weight.files)
    assert not locate(weight).complete
    write(repository / weight.revision, *weight.files)
    assert locate(weight).folder == repository / weight.revision


def test_unpinned_follows_main(places):
    repository = places / "hub" / "models--3DAIGC--LHM-MINI"
    write(repository / "snapshots" / "abc", "config.json", "model.safetensors")
    assert not locate(WEIGHTS["lhm-mini"]).complete
    write(repository, "refs/main")
    (repository / "refs" / "main").write_text("abc")  # the hub's library ends it with no line break
    assert locate(WEIGHTS["lhm-mini"]).folder == repository / "snapshots" / "abc"


def test_a_complete_cache_beats_half_a_folder(places):
    write(places / "weights" / "lhm-mini", "config.json")
    repository = places / "hub" / "models--3DAIGC--LHM-MINI"
    write(repository, "refs/main")
    (repository / "refs" / "main").write_text("abc")
    write(repository / "snapshots" / "abc", "config.json", "model.safetensors")
    assert locate(WEIGHTS["lhm-mini"]).folder == repository / "snapshots" / "abc"


def test_missing_shards_are_named(tmp_path):
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    index = tmp_path / "transformer" / "model.safetensors.index.json"
    write(tmp_path, "transformer/model-00001-of-00002.safetensors")
    index.write_text(json.dumps({"weight_map": shards}))
    pattern = ("transformer/*.safetensors",)
    assert missing_files(tmp_path, pattern) == ("transformer/model-00002-of-00002.safetensors",)
    write(tmp_path, "transformer/model-00002-of-00002.safetensors")
    assert missing_files(tmp_path, pattern) == ()
    index.write_text("{broken")
    assert "unreadable" in missing_files(tmp_path, pattern)[0]


def test_dangling_link_is_missing(tmp_path):
    (tmp_path / "model.safetensors").symlink_to(tmp_path / "gone")
    assert missing_files(tmp_path, ("model.safetensors",)) == ("model.safetensors",)


def test_unknown_name():
    with pytest.raises(InputError, match="lhm-mini"):
        require("lhm-huge")


@pytest.mark.parametrize(
    "variables, folder",
    [
        ({"HOME": "{tmp}"}, ".cache/huggingface/hub"),
        ({"XDG_CACHE_HOME": "{tmp}"}, "huggingface/hub"),
        ({"XDG_CACHE_HOME": "{tmp}", "HF_HOME": "{tmp}/home"}, "home/hub"),
        ({"HF_HOME": "{tmp}/home", "HF_HUB_CACHE": "{tmp}/cache"}, "cache"),
    ],
)
def test_hub_cache_follows_the_hubs_variables(variables, folder, tmp_path):
    """The hub's library reads them once, when it is imported: hence a process per case."""
    hub_names = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME")
    environment = {k: v for k, v in os.environ.items() if k not in hub_names}
    environment |= {name: text.format(tmp=tmp_path) for name, text in variables.items()}
    code = "from toolkit.weights.search import hub_cache; print(hub_cache())"
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == str(tmp_path / folder)
