"""The evaluation as a whole, shortened: what it writes, that it resumes, what it refuses."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from toolkit.cli import main
from toolkit.errors import InputError, MissingFileError
from toolkit.evaluate.run import EvaluateConfig, evaluate, find_people
from toolkit.evaluate.score_config import ScoreConfig
from toolkit.evaluate.stats import SECTORS
from toolkit.evaluate.variants import VARIANTS
from toolkit.profiles.base import PipelineConfig
from toolkit.refine.refit import FitConfig

EXAMPLE = Path(__file__).parent / "fixtures" / "evaluation"
SHORT = ScoreConfig(
    variants=(
        "coarse",
        "self_refit",
        "one_shot",
        "progressive",
        "upper_bound",
        "prior_frames",
        "coarse_true_body",
    ),
    pipeline=PipelineConfig(num_gaussians=10_000, num_views=5, fit=FitConfig(steps=2)),
    photo_px=192,
    view_px=96,
    num_views=4,
)
FOREIGN = EvaluateConfig(people=EXAMPLE, score=SHORT)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two foreign people, scored once."""
    out = tmp_path_factory.mktemp("foreign")
    return out, evaluate(out, FOREIGN)


def check_schema(table, variants):
    assert set(table) == variants
    for sectors in table.values():
        assert set(sectors) <= set(SECTORS) and "all" in sectors
        for measures in sectors.values():
            assert {"psnr", "ssim", "perceptual", "iou", "sharpness"} <= set(measures)
            for value in measures.values():
                assert set(value) == {"mean", "low", "high"}
                assert all(math.isfinite(v) for v in value.values())
                assert value["low"] - 1e-9 <= value["mean"] <= value["high"] + 1e-9


def test_the_file_has_the_documented_shape(run):
    out, table = run
    assert json.loads((out / "evaluation.json").read_text()) == table
    made = set(SHORT.variants) - {"prior_frames", "coarse_true_body"}
    check_schema(
        {
            k: {s: {m: v for m, v in ms.items() if m != "kid"} for s, ms in t.items()}
            for k, t in table.items()
        },
        made | {"refined"},
    )
    assert set(table["coarse"]) == set(SECTORS)  # eight views around: no sector is empty
    assert table["refined"] == table["one_shot"]
    everything = table["coarse"]["all"]
    assert {
        "kid",
        "pa_mpjpe_mm",
        "drift_mm",
        "face_distance",
        "consistency",
        "keypoint_percent",
        "sharpness_octave_4",
    } <= set(everything)
    assert "face_distance" not in table["coarse"]["back"]
    assert (out / "evaluation.png").stat().st_size > 50_000


def test_the_numbers_mean_what_they_say(run):
    _, table = run
    coarse, bound = table["coarse"]["all"], table["upper_bound"]["all"]
    assert coarse["drift_mm"]["mean"] == 0 < bound["drift_mm"]["mean"] < 5
    assert 12 < coarse["psnr"]["mean"] < 30 and 0.6 < coarse["iou"]["mean"] < 1
    assert bound["psnr"]["mean"] > coarse["psnr"]["mean"]  # two steps towards the truth
    assert coarse["pa_mpjpe_mm"] == bound["pa_mpjpe_mm"]  # one body, one alignment
    assert coarse["keypoint_percent"]["mean"] < 6  # after alignment the body lies on the person


def test_words_say_what_was_left_out_and_how_it_was_tested(run):
    out, _ = run
    details = json.loads((out / "details.json").read_text())
    assert "A pose" in details["skipped"]["prior_frames"] and "lpips" in details["skipped"]
    change = details["tests"]["upper_bound"]["side_back"]["psnr"]
    assert set(change) == {"mean", "low", "high", "p", "people"} and change["people"] == 2
    assert details["novel_poses"] == {} and details["failed"] == {}
    assert set(details["seconds"]) == {"truth", *SHORT.variants} - {
        "prior_frames",
        "coarse_true_body",
    }
    assert "true body" in details["skipped"]["coarse_true_body"]
    assert details["misalignment"] == {} and "psnr_gain_db" in details["targets"]
    text = (out / "evaluation.md").read_text()
    assert "## Side and back" in text and "prior_frames left out" in text
    assert "## Targets: refined, side and back" in text and "## Sharpness by octave" in text


def test_a_second_run_makes_only_what_is_missing(run):
    out, table = run
    records = sorted((out / "people").glob("*/*.json"))
    lost = out / "people" / "person_1" / "one_shot.json"
    before = {p: p.stat().st_mtime_ns for p in records}
    lost.unlink()
    assert evaluate(out, FOREIGN) == table  # made anew, and the same
    assert {p for p in records if p.stat().st_mtime_ns != before[p]} == {lost}


def test_other_inputs_are_other_records(run):
    people = find_people(FOREIGN)
    key = SHORT.key(people[0], "weights")
    assert key == SHORT.key(people[0], "weights") != SHORT.key(people[1], "weights")
    longer = replace(SHORT, pipeline=replace(SHORT.pipeline, fit=FitConfig(steps=3)))
    assert len({key, longer.key(people[0], "weights"), SHORT.key(people[0], "others")}) == 3
    assert replace(SHORT, variants=("coarse",)).key(people[0], "weights") == key


def test_our_own_people_have_novel_poses_and_frames(tmp_path):
    score = replace(
        SHORT,
        clips=("walk", "jump"),
        variants=("coarse", "coarse_frames", "prior_frames", "coarse_true_body"),
    )
    table = evaluate(tmp_path, EvaluateConfig(split="val", num=1, score=score))
    check_schema(table, {"coarse", "coarse_frames", "prior_frames", "coarse_true_body"})
    details = json.loads((tmp_path / "details.json").read_text())
    check_schema(details["novel_poses"], {"coarse", "coarse_true_body"})
    assert details["tests"] == {}  # nothing to test with one person
    truly, fitted = (table[name]["all"] for name in ("coarse_true_body", "coarse"))
    assert truly["pa_mpjpe_mm"]["mean"] < 0.1 < 10 < fitted["pa_mpjpe_mm"]["mean"]
    assert truly["keypoint_percent"]["mean"] < 0.01
    # 0.022 for this person, since the cut-out is solved at its rim; with the plain mask 0.029
    assert truly["iou"]["mean"] > fitted["iou"]["mean"] + 0.015
    split = details["misalignment"]["coarse"]
    assert split["photo_iou"]["true"]["mean"] == truly["photo_iou"]["mean"]
    assert "## Misalignment: coarse avatar" in (tmp_path / "evaluation.md").read_text()
    record = json.loads((tmp_path / "people" / "val_0000000" / "coarse.json").read_text())
    assert len(record["poses"]) == 2 and len(record["poses"][0]["psnr"]) == 4
    frames = [table[name]["all"]["iou"]["mean"] for name in ("coarse_frames", "prior_frames")]
    assert min(frames) > 0.75  # in the A pose, too, the avatar lies on its truth


def test_a_photo_of_nobody_is_a_failure_with_its_reason(tmp_path):
    folder = tmp_path / "people" / "person_0"
    shutil.copytree(EXAMPLE / "person_0", folder)
    noise = np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)
    Image.fromarray(noise).save(folder / "photo.png")
    with pytest.raises(InputError, match="all failed"):
        evaluate(tmp_path / "out", replace(FOREIGN, people=tmp_path / "people"))
    reason = json.loads((tmp_path / "out" / "people" / "person_0" / "failed.json").read_text())
    assert "person" in reason["error"]


def test_what_makes_no_sense_is_refused(tmp_path, capsys):
    with pytest.raises(InputError, match="variants"):
        EvaluateConfig(score=replace(SHORT, variants=("coarse", "magic")))
    with pytest.raises(InputError, match="1 or more"):
        EvaluateConfig(num=0)
    with pytest.raises(MissingFileError, match="person_"):
        find_people(EvaluateConfig(people=tmp_path))
    assert main(["evaluate", "--people", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert main(["evaluate", "--variants", "magic", "--out", str(tmp_path / "out")]) == 2
    assert "magic" in capsys.readouterr().err
    assert set(SHORT.variants) <= set(VARIANTS)
