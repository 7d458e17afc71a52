"""The estimate against what a run takes, and the simulation against what can be worked out."""

import json

import pytest
from pretend_bulk import TinyRecipe, run

from toolkit.dataset.bulk.config import BulkConfig
from toolkit.dataset.bulk.estimate import describe, estimate_run
from toolkit.dataset.bulk.folder import SetFolder
from toolkit.dataset.bulk.log import RunLog, read_lines, stage_times
from toolkit.dataset.bulk.make import Outcome
from toolkit.dataset.bulk.manifest import Manifest
from toolkit.dataset.bulk.people import PeopleRecipe
from toolkit.errors import InputError

simpy = pytest.importorskip("simpy", reason="needs the extra `dev`")
from toolkit.dataset.bulk.simulate import Costs, Troubles, simulate  # noqa: E402


def test_the_estimate_knows_what_a_sample_takes(tmp_path):
    guess = estimate_run(TinyRecipe(seconds=0.05), 40)
    assert guess.seconds["first"] == pytest.approx(0.05, rel=0.5)
    assert guess.wall_seconds >= 40 * 0.05 and guess.gpu_hours == 0
    run(tmp_path, 40)
    manifest = Manifest.load(SetFolder(tmp_path))
    size = sum(shard.bytes for shard in manifest.shards)
    assert 40 * guess.bytes_per_sample == pytest.approx(size, rel=0.2)
    assert "per minute" in describe(guess)


def test_models_on_a_gpu_are_estimated_from_published_figures():
    guess = estimate_run(PeopleRecipe(BulkConfig(images="flux.1-dev", profile="full")), 3600)
    assert not guess.seconds
    assert {stage.stage for stage in guess.published} == {"picture", "coarse", "refined"}
    assert guess.gpu_hours == pytest.approx(sum(stage.seconds for stage in guess.published))
    text = describe(guess)
    assert "Pruna" in text and "no published figure: body" in text


def test_an_estimate_of_nothing_is_refused():
    with pytest.raises(InputError, match="count 0"):
        estimate_run(TinyRecipe(), 0)
    with pytest.raises(InputError, match="no sample"):
        estimate_run(TinyRecipe(poison=(0, 1, 2)), 5)


def test_a_line_that_a_killed_run_cut_off_is_dropped(tmp_path):
    folder = SetFolder(tmp_path)
    log = RunLog(folder, engine="local", workers=1)
    log.add(Outcome(0, "made", {"a": 1.0}, {"a": 0.5}))
    log.add(Outcome(1, "made", {"a": 3.0}, {"a": 0.5}))
    whole = log.path.read_bytes()
    log.path.write_bytes(whole + b'{"index": 2, "ki')
    again = RunLog(folder, engine="local", workers=1)
    assert again.path.read_bytes() == whole and len(read_lines(log.path)) == 2
    times = stage_times(read_lines(log.path))
    assert times["a"] == {"samples": 2, "mean": 2.0, "spread": 1.0, "largest": 3.0}
    again.close()
    assert json.loads((folder.log / "run.json").read_text())["stages"] == times


# --- the simulation ---

STEADY = Costs(seconds=6.0, spread=0.0, driver_seconds=0.01, loading_seconds=0.0)


def test_one_steady_worker_takes_the_sum_of_all_times():
    assert simulate(1, 50, STEADY).per_minute == pytest.approx(60 / 6.01)


def test_few_workers_share_the_work_and_many_wait_for_the_driver():
    few, many = simulate(10, 500, STEADY), simulate(2000, 8000, STEADY)
    assert few.per_minute == pytest.approx(10 * 60 / 6.01, rel=0.02)
    assert STEADY.knee == pytest.approx(600)
    assert many.per_minute == pytest.approx(60 / 0.01, rel=0.1)  # the driver's, no more
    assert many.driver_busy > 0.9 and many.efficiency < 0.35


def test_troubles_cost_what_they_should():
    slow = simulate(20, 2000, STEADY, Troubles(slow_share=0.5, slowness=2.0))
    assert slow.efficiency == pytest.approx(0.75, abs=0.02)  # half work at half the speed
    costs = Costs(6.0, 0.0, 1e-6, loading_seconds=30.0)
    often = simulate(20, 3000, costs, Troubles(deaths_per_hour=60))
    assert often.deaths > 200
    # a minute of life on average, then half a minute to load and some 3 s of lost work
    assert often.efficiency == pytest.approx(57 / 90, abs=0.04)


def test_the_same_seed_gives_the_same_run():
    costs, troubles = Costs(5.0, 2.0, 0.02, 10.0), Troubles(1.0, 0.1, 3.0)
    assert simulate(20, 500, costs, troubles) == simulate(20, 500, costs, troubles)
    assert simulate(20, 500, costs, troubles) != simulate(20, 500, costs, troubles, seed=1)
    with pytest.raises(InputError, match="0 workers"):
        simulate(0, 1, costs)
