"""Which licence binds an output: by the models of its run."""

import json
from dataclasses import replace

import pytest

from toolkit.cli import main
from toolkit.dataset.bulk import card
from toolkit.dataset.bulk.manifest import Manifest
from toolkit.dataset.prompts_templates import NAME
from toolkit.prior.prior import PixelPrior
from toolkit.profiles.base import PipelineConfig
from toolkit.profiles.choose import with_prior
from toolkit.profiles.embedded import EmbeddedProfile
from toolkit.profiles.refiners import REFINERS, with_refiner
from toolkit.run.report import describe_run
from toolkit.weights.licences import (
    CONDITIONS,
    FREE,
    NON_COMMERCIAL,
    STRICTER,
    UNKNOWN,
    binding,
    licences_of,
    source_of,
)
from toolkit.weights.sets import SETS
from toolkit.weights.table import WEIGHTS

EMBEDDED = EmbeddedProfile.models
FULL = {
    "body_model": "smplx",
    "pose_model": "multi-hmr",
    "coarse_model": "lhm-500m-hf",
    "video_prior": "wan2.1-t2v-1.3b",
}
# What the licences of published weights mean for outputs, read in their texts.
USES = {
    "smplx": NON_COMMERCIAL,
    "multi-hmr": NON_COMMERCIAL,
    "lhm-1b": NON_COMMERCIAL,
    "sapiens-1b": NON_COMMERCIAL,
    "wan2.1-t2v-14b": FREE,
    "flux.1-dev": CONDITIONS,
    "flux.1-schnell": FREE,
    "llama-3.3-70b": CONDITIONS,
    "smollm2-1.7b": FREE,
    "lpips-alexnet": FREE,
}


@pytest.mark.parametrize("name, use", USES.items())
def test_use_of_published_weights(name, use):
    by_name, by_hub = (source_of("x", n) for n in (name, WEIGHTS[name].source))
    assert by_name.use == by_hub.use == use
    assert by_name.licence == WEIGHTS[name].licence and by_name.note == WEIGHTS[name].note


def test_every_weight_and_every_model_of_ours_is_known():
    ours = [*EMBEDDED.values(), NAME, "procedural people", "our motion clips"]
    ours += [f"{name}: {refiner.words}" for name, refiner in REFINERS.items()]
    for name in [*ours, *WEIGHTS]:
        assert source_of("x", name).use != UNKNOWN, name
    assert all(source_of("x", name).use == FREE for name in ours)
    assert source_of("x", "a prior of my own").use == UNKNOWN


def test_embedded_avatars_are_free_and_name_what_went_into_them():
    answer = licences_of(EMBEDDED)
    assert {output["use"] for output in answer["outputs"]} == {FREE}
    assert "DeepMimic" in answer["outputs"][-1]["bound_by"]
    assert "yours" in answer["photo"]


def test_the_strictest_binds_and_only_what_went_into_a_file():
    mixed = EMBEDDED | {"coarse_model": "lhm-mini"}
    uses = {output["files"]: output for output in licences_of(mixed)["outputs"]}
    assert uses["body.json, body_mask.png"]["use"] == FREE
    for files in ("coarse.ply, turntable_coarse.mp4", "animation.mp4"):
        assert uses[files]["use"] == NON_COMMERCIAL
        assert uses[files]["bound_by"] == f"lhm-mini: {WEIGHTS['lhm-mini'].licence}"
    full = licences_of(FULL)["outputs"][2]
    assert full["use"] == NON_COMMERCIAL and "wan" not in full["bound_by"]
    assert all(name in full["bound_by"] for name in ("smplx", "multi-hmr", "lhm-500m-hf"))


def test_binding_is_the_maximum_in_any_order():
    sources = [replace(source_of("x", "smplx"), use=use) for use in STRICTER]
    for end in range(1, 5):
        assert binding(sources[:end])[0] == binding(sources[:end][::-1])[0] == STRICTER[end - 1]


def test_a_picture_from_words_binds_everything_after_it():
    picture = {"model": "black-forest-labs/FLUX.1-dev", "prompt_by": "template grammar"}
    answer = licences_of(EMBEDDED | {"description": {"picture": picture}})
    assert answer["outputs"][0]["files"] == "photo.png"
    assert {output["use"] for output in answer["outputs"]} == {CONDITIONS}
    assert any("not to train" in source["note"] for source in answer["sources"])


def test_random_stand_ins_bind_nothing_but_name_the_real_licence():
    source = source_of("coarse avatar", "lhm-mini (stand-in)")
    assert source.use == FREE and WEIGHTS["lhm-mini"].licence in source.note


def test_every_report_holds_the_answer():
    profile = EmbeddedProfile()
    for used in (
        profile,
        with_refiner(profile, "plain"),
        with_prior(profile, PixelPrior(lambda x, s, c: x), "mine"),
    ):
        report = describe_run(PipelineConfig().resolved(used), used)
        assert report["licences"] == licences_of(report)
    assert report["licences"]["outputs"][2]["use"] == UNKNOWN


def test_command_reads_the_report_beside_an_avatar(tmp_path, capsys):
    (tmp_path / "report.json").write_text(json.dumps(FULL))
    (tmp_path / "avatar.npz").write_bytes(b"")
    for avatar in (tmp_path, tmp_path / "avatar.npz"):
        assert main(["licences", str(avatar)]) == 0
        said = capsys.readouterr().out
        assert "non-commercial: smplx: SMPL-X model licence (MPI), non-commercial" in said
    assert main(["licences", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == licences_of(FULL)


@pytest.mark.parametrize("content", ["{}", "[]", "nonsense", '{"body_model": 3}'])
def test_what_is_no_report_is_named(content, tmp_path, capsys):
    assert main(["licences", str(tmp_path)]) == 2
    assert "report.json" in capsys.readouterr().err
    (tmp_path / "report.json").write_text(content)
    assert main(["licences", str(tmp_path)]) == 2
    assert "wanted" in capsys.readouterr().err


def test_data_card_names_what_binds_the_set():
    row = {"prompt_model": "meta-llama/Llama-3.3-70B-Instruct", "image_licence": "Apache-2.0"}
    row["image_model"] = "black-forest-labs/FLUX.1-schnell"
    manifest = Manifest({"profile": "full", "models": FULL}, {})
    text = card._licences(manifest, [row])
    assert "The set as a whole: **non-commercial** (" in text
    for words in ("lhm-500m-hf", "wan2.1-t2v-1.3b", "Built with Llama", "those of the models"):
        assert words in text
    free = {"prompt_model": NAME, "image_model": "procedural people", "image_licence": "CC0-1.0"}
    assert "as a whole" not in card._licences(Manifest({"profile": "embedded"}, {}), [free])
    merged = Manifest({}, {}, sources=[{"settings": {"profile": "full", "models": FULL}}])
    assert "non-commercial" in card._licences(merged, [free])


def test_models_of_the_full_profile_are_all_in_the_table():
    """A label is a name of the table, so that no stage falls through as unknown."""
    for stage in ("body", "pose", "coarse", "prior"):
        assert all(names[0] in WEIGHTS for names in SETS[stage])
    assert set(FULL.values()) <= set(WEIGHTS)
