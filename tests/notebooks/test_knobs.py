"""Every parameter that a notebook documents as changeable works at both ends of its range.

A run takes the low ends together, another one the high ends; `fast` caps the numbers of people.
"""

from pathlib import Path

import papermill
import pytest

from tools.upkeep import notebooks

ROOT = Path(__file__).resolve().parents[2]
FAST = ROOT / "notebooks" / "profiles" / "fast.yaml"
FIXED = {"profile", "body_file", "set_dir", "fast", "seed", "out_dir"}  # not a range
ENDS = {  # notebook -> parameter -> its low and its high end, or two choices
    "01_body": {
        "beta_index": (0, 19),
        "beta_value": (-3.0, 3.0),
        "joint": ("pelvis", "right_thumb3"),
        "angle_deg": (-180.0, 180.0),
        "num_people": (1, 64),
        "noise_px": (0.5, 50.0),
        "prior_weight": (0.01, 100.0),
        "hide_legs": (False, True),
        "live": (False, True),
    },
    "04_misalignment": {
        "joint": ("pelvis", "head"),
        "axis": ("x", "y"),
        "angle_deg": (-180.0, 180.0),
        "num_people": (2, 64),
        "max_turn_deg": (1.0, 45.0),
        "max_shift_m": (0.01, 0.06),
        "num_steps": (3, 20),
        "live": (False, True),
    },
    "05_blur": {
        "sigma_px": (0.0, 8.0),
        "noise": (0.0, 0.5),
        "num_people": (2, 48),
        "num_twins": (2, 40),
        "num_views": (4, 64),
        "live": (False, True),
    },
    "11_dataset": {
        "num_records": (100, 5000),
        "pair_weight": (0.0, 10.0),
        "person": (0, 49),
        "changed": ("hat", "urban"),
        "changed_to": ("none", "rooftop terrace"),
        "blur_px": (0.0, 8.0),
        "sample": (0, 1000),
        "deaths_per_hour": (0.0, 60.0),
        "driver_ms": (0.1, 200.0),
        "live": (False, True),
    },
}


@pytest.mark.parametrize("name", ENDS)
def test_every_knob_is_tried(name):
    known = papermill.inspect_notebook(str(ROOT / "notebooks" / f"{name}.ipynb"))
    assert set(ENDS[name]) == set(known) - FIXED


@pytest.mark.slow
@pytest.mark.parametrize("end", [0, 1], ids=["low", "high"])
@pytest.mark.parametrize("name", ENDS)
def test_runs_at_the_ends_of_its_knobs(name, end, tmp_path):
    parameters = {knob: ends[end] for knob, ends in ENDS[name].items()}
    parameters |= notebooks.read_profile(FAST) | {"out_dir": str(tmp_path / "run")}
    notebooks.execute(name, parameters=parameters, folder=tmp_path, timeout_s=300)


@pytest.mark.parametrize(
    "name, wrong, message",
    [
        ("01_body", {"joint": "tail"}, "joint: 'tail', wanted one of pelvis"),
        ("04_misalignment", {"axis": "w"}, "axis: 'w', wanted x, y or z"),
        ("05_blur", {"num_views": 6}, "num_views: 6, wanted 4, 8, 12"),
        ("11_dataset", {"changed_to": "beanie"}, "changed_to: 'beanie', wanted a colour"),
    ],
)
@pytest.mark.slow
def test_a_wrong_knob_is_refused_in_one_sentence(name, wrong, message, tmp_path):
    parameters = wrong | notebooks.read_profile(FAST) | {"out_dir": str(tmp_path / "run")}
    with pytest.raises(papermill.exceptions.PapermillExecutionError, match=message):
        notebooks.execute(name, parameters=parameters, folder=tmp_path, timeout_s=300)
