"""Clip scores on one live person with an untrained prior, and the sweep's rule on made-up rows."""

import pytest
import torch

from toolkit.errors import InputError
from toolkit.evaluate.clip_scores import ClipScorer, means_table, summarise, timed
from toolkit.evaluate.sweep import (
    PAPER,
    Setting,
    choose_setting,
    score_settings,
    sweep_rows,
    sweep_settings,
)
from toolkit.evaluate.sweep_plot import sweep_figure
from toolkit.prior.samplers import held
from toolkit.prior.sdedit import SDEditConfig, start_sigma
from toolkit.profiles.base import PipelineConfig

SMALL = PipelineConfig(num_views=5, num_gaussians=10_000, clip_size=(96, 48))


def grey_prior(x, sigma, condition):
    """A prior that knows one clip: all grey."""
    return x / sigma


@pytest.fixture(scope="module")
def scorer(tmp_path_factory):
    scorer = ClipScorer.from_seed(0, "val", tmp_path_factory.mktemp("person"), SMALL)
    scorer.prepare()
    return scorer


def test_truth_scores_best_and_coarse_keeps_everything(scorer):
    truth = scorer.score_clip(scorer.reference.scene.views.rgb)
    coarse = scorer.score_clip(scorer.bench.turntable.rgb)
    grey = scorer.score_clip(torch.full_like(scorer.bench.turntable.rgb, 0.5))
    assert truth["psnr"] > coarse["psnr"] > grey["psnr"]
    assert truth["perceptual"] < coarse["perceptual"] < grey["perceptual"]
    assert truth["seen_psnr"] > coarse["seen_psnr"] > grey["seen_psnr"]
    assert coarse["kept_psnr"] == 100 and coarse["kept_perceptual"] == 0  # 100 dB is the cap
    assert 100 > truth["kept_psnr"] > grey["kept_psnr"] and truth["kept_perceptual"] > 0.05
    assert coarse["sharpness"] < truth["sharpness"]
    assert len(coarse["features"]) == len(coarse["true_features"])


def test_plain_prior_is_not_told_of_the_coarse_clip(scorer):
    conditions = []

    def velocity(x, sigma, condition):
        conditions.append(condition)
        return torch.zeros_like(x)

    for repair in (True, False):
        scorer.edit(velocity, SDEditConfig(0.5, 4, 1.0, max_steps=1), repair=repair)
    assert torch.equal(conditions[0].coarse, scorer.x0) and conditions[0].seen is not None
    assert conditions[1].coarse is None and conditions[1].seen is None
    assert torch.equal(conditions[1].reference, scorer.x0[:, :, 0])


def test_edit_hands_hooks_on_and_is_repeatable(scorer):
    config = SDEditConfig(1.0, 4, 1.0)
    first, second = (scorer.edit(grey_prior, config, repair=False, seed=3) for _ in range(2))
    assert torch.equal(first, second) and torch.allclose(first, torch.full_like(first, 0.5))
    kept = scorer.edit(held(grey_prior, scorer.x0, torch.zeros(())), config, repair=False)
    assert torch.allclose(kept, scorer.bench.turntable.rgb, atol=1e-5)
    pulled = scorer.edit(grey_prior, config, repair=False, project=lambda i, s, clean: scorer.x0)
    assert torch.allclose(pulled, scorer.bench.turntable.rgb, atol=1e-5)


def test_sweep_scores_every_setting_and_draws(scorer):
    settings = sweep_settings("plain", [0.5, 1.0], steps=(1,), length=4, paper=False)
    ticks = []
    scores = score_settings(scorer, {"plain": grey_prior}, settings, tick=lambda: ticks.append(1))
    rows = sweep_rows([scores, scores], settings)
    assert list(rows) == ["coarse", *(s.name for s in settings)] and len(ticks) == 2
    row = rows[settings[1].name]
    assert row["setting"]["start_sigma"] == 1 and row["setting"]["steps"] == 1
    assert row["change"]["psnr"]["mean"] < 0 < row["change"]["perceptual"]["mean"]
    assert row["seconds"]["mean"] > 0 and rows["coarse"]["change"]["psnr"]["mean"] == 0
    assert choose_setting(rows) == "coarse"  # grey is no better
    figure = sweep_figure(rows, "coarse")
    assert len(figure.axes) == 3
    table = means_table(rows, {"psnr": ("PSNR", ".2f"), "kid": ("KID", ".1f")})
    assert len(table.splitlines()) == 2 + len(rows)


def rows_of(**values):
    """Name -> (perceptual, PSNR where seen)."""
    return {
        name: {"perceptual": {"mean": p}, "seen_psnr": {"mean": q}}
        for name, (p, q) in values.items()
    }


def test_rule_takes_the_most_real_of_those_that_keep_what_was_seen():
    rows = rows_of(coarse=(0.5, 20.0), weak=(0.45, 19.9), strong=(0.3, 18.0), middle=(0.4, 19.6))
    assert choose_setting(rows) == "middle"
    assert (
        choose_setting(rows, most_lost_db=0.2) == "weak"
        and choose_setting(rows, most_lost_db=3) == "strong"
    )
    assert choose_setting(rows_of(coarse=(0.5, 20.0), worse=(0.6, 21.0))) == "coarse"
    with pytest.raises(InputError, match="coarse"):
        choose_setting(rows_of(a=(1.0, 1.0)))


def test_settings_report_sigma_and_steps_beside_strength():
    setting = Setting("plain", SDEditConfig(0.8, 50, 3.0, max_steps=6))
    assert setting.describe()["paper"] and setting.steps == 6
    assert setting.sigma == pytest.approx(0.922, abs=1e-3)
    assert Setting("plain", SDEditConfig(0.1, 20, 1.0)).steps == 2
    settings = sweep_settings("repairer", [0.1, 1.0], steps=(1, 6))
    assert [s.describe()["paper"] for s in settings] == [False] * 4 + [True] * 2
    assert len({s.name for s in settings}) == 6
    assert [start_sigma(*p) for p in PAPER] == sorted(start_sigma(*p) for p in PAPER)


def test_summary_is_paired_by_person_and_cpu_time_is_measured():
    people = [
        {
            "psnr": float(i),
            "perceptual": 0.1 * i,
            "features": [[0.0, 1.0]],
            "true_features": [[0.0, 1.0]],
        }
        for i in range(4)
    ]
    better = [p | {"psnr": p["psnr"] + 1} for p in people]
    rows = summarise({"coarse": people, "better": better}, baseline="coarse")
    assert rows["better"]["change"]["psnr"]["mean"] == pytest.approx(1)
    assert rows["better"]["psnr"]["mean"] == pytest.approx(2.5) and "features" not in rows["better"]
    made, seconds = timed(lambda: sum(range(200_000)))
    assert made == 19_999_900_000 and seconds > 0
