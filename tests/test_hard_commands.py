"""Mistakes that need no model are told before one is loaded: one line, exit code 2, no output."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from toolkit.errors import InputError
from toolkit.export import formats
from toolkit.profiles.refiners import REFINERS
from toolkit.run import options
from toolkit.run.options import check_out_folder

HEAVY = ("torch", "scipy", "numba", "matplotlib", "ai_edge_litert", "diffusers", "pyarrow")
RUN = """
import contextlib, io, json, sys
from toolkit.cli import main
told = []
for case in json.load(sys.stdin):
    lines = io.StringIO()
    with contextlib.redirect_stderr(lines):
        try:
            code = main(case)
        except BaseException as error:
            code = repr(error)
    loaded = [name for name in {heavy!r} if name in sys.modules]
    told.append([code, lines.getvalue(), loaded])
print(json.dumps(told))
"""
A = ["avatar", "photo.png", "--out", "out"]
T = ["text2avatar", "a man", "--out", "out"]
S = ["synthesize", "--count", "2", "--out", "out"]
E = ["evaluate", "--out", "out"]
X = ["export", "avatar.npz", "--format"]
M = ["animate", "avatar.npz", "--out", "film.mp4", "--motion"]
CASES = {
    "no photo": (["avatar", "none.png", "--out", "out"], "none.png"),
    "no name": (["avatar", "", "--out", "out"], "Photo|photo"),
    "a folder": (["avatar", ".", "--out", "out"], "folder"),
    "a pipe": (["avatar", "pipe", "--out", "out"], "pipe"),
    "an empty photo": (["avatar", "empty.jpg", "--out", "out"], "empty file"),
    "a text": (["avatar", "text.jpg", "--out", "out"], "not a picture"),
    "a damaged photo": (["avatar", "cut.png", "--out", "out"], "damaged"),
    "one colour": (["avatar", "grey.png", "--out", "out"], "flat colour"),
    "a name of two lines": (["avatar", "a\nb.png", "--out", "out"], "no such file"),
    "a name that steers": (["avatar", "\x1b[2J", "--out", "out"], "no such file"),
    "surrogates": (["avatar", "\udcff.png", "--out", "out"], "no such file"),
    "out is a file": (["avatar", "photo.png", "--out", "text.jpg"], "--out"),
    "out is in a file": (["avatar", "photo.png", "--out", "text.jpg/out"], "--out"),
    "no out": (["avatar", "photo.png"], "--out"),
    "no such option": ([*A, "--nonsense"], "--nonsense"),
    "no such command": (["avatars"], "avatars"),
    "profile": ([*A, "--profile", "magic"], "embedded or full"),
    "refiner": ([*A, "--refiner", "magic"], "repairer or plain"),
    "strength 1.5": ([*A, "--strength", "1.5"], "strength"),
    "strength -1": ([*A, "--strength", "-1"], "strength"),
    "strength nan": ([*A, "--strength", "nan"], "strength"),
    "strength inf": ([*A, "--strength", "inf"], "strength"),
    "strength x": ([*A, "--strength", "x"], "strength"),
    "seed x": ([*A, "--seed", "x"], "seed"),
    "seed -1": ([*A, "--seed", "-1"], "seed"),
    "seed 2^64": ([*A, "--seed", str(2**64)], "seed"),
    "views 12": ([*A, "--views", "12"], "views"),
    "views 1": ([*A, "--views", "1"], "views"),
    "gaussians": ([*A, "--gaussians", "12"], "gaussians"),
    "size big": ([*A, "--size", "big"], "size"),
    "size 100x50": ([*A, "--size", "100x50"], "size"),
    "size 96": ([*A, "--size", "96"], "size"),
    "size -16x16": ([*A, "--size", "-16x16"], "size"),
    "steps 0": ([*A, "--steps", "0"], "steps"),
    "fit steps": ([*A, "--fit-steps", "-3"], "fit-steps"),
    "person 0": ([*A, "--person", "0"], "person"),
    "text profile": ([*T, "--profile", "magic"], "profile"),
    "text seed": ([*T, "--seed", "1000000"], "seed"),
    "text out": (["text2avatar", "a man", "--out", "text.jpg"], "--out"),
    "count 0": (["synthesize", "--count", "0", "--out", "out"], "count"),
    "workers 0": ([*S, "--workers", "0"], "workers"),
    "engine": ([*S, "--engine", "magic"], "local or ray"),
    "set": ([*S, "--set", "gender"], "ATTRIBUTE=VALUE"),
    "set of nothing": ([*S, "--set", "gender=martian"], "martian"),
    "config missing": ([*S, "--config", "none.toml"], "none.toml"),
    "config of rubbish": ([*S, "--config", "empty.jpg/x"], "does not exist"),
    "split": ([*E, "--split", "train"], "val or test"),
    "people": ([*E, "--people", "nobody"], "nobody"),
    "num 0": ([*E, "--num", "0"], "num"),
    "evaluate seed": ([*E, "--seed", "-1"], "seed"),
    "format": ([*X, "obj"], "obj"),
    "no avatar": (["export", "none.npz", "--format", "ply"], "none.npz"),
    "no motion": ([*X, "ply", "--motion", "none.bvh"], "none.bvh"),
    "no clip": ([*X, "ply", "--motion", "wolk"], "walk"),
    "no pose": ([*X, "ply", "--pose", "z"], "does not exist"),
    "a pickle": ([*X, "ply", "--motion", "evil.pkl"], "Pickles"),
    "film of what": (["animate", "none.npz", "--motion", "walk", "--out", "f.mp4"], "none.npz"),
    "film ending": (["animate", "avatar.npz", "--motion", "walk", "--out", "f.avi"], ".mp4"),
    "film size": ([*M, "walk", "--size", "9x9"], "size"),
    "film speed": ([*M, "walk", "--speed", "nan"], "speed"),
    "film motion": ([*M, "none.npz"], "none.npz"),
    "film pipe": ([*M, "pipe"], "pipe"),
}
TOML = {
    "rubbish": ("= 3 [", "TOML"),
    "binary": (b"\xff\xfe\0", "TOML"),
    "deep": ("a = " + "[" * 20_000, "TOML"),
    "unknown": ("colour = 3", "colour"),
    "unknown gate": ("[gates]\nmin_psnr = 3", "min_psnr"),
    "gates": ("gates = 3", "gates"),
    "gate in words": ('[gates]\nmin_iou = "high"', "min_iou"),
    "gate of nan": ("[gates]\nmin_iou = nan", "min_iou"),
    "selection": ('selection = "gender=woman"', "selection"),
    "selection of numbers": ("selection = [3]", "selection|3"),
    "seed": ("seed = -1", "seed"),
    "seed in words": ('seed = "one"', "seed"),
    "seed true": ("seed = true", "seed"),
    "profile": ("profile = 3", "profile"),
    "images": ("images = [1]", "images"),
    "photo": ("photo_px = 64", "photo_px"),
    "gaussians": ("num_gaussians = 3", "gaussians"),
    "gaussians in words": ('num_gaussians = "many"', "num_gaussians"),
    "steps": ('steps = "medium"', "steps"),
}


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> dict:
    """What a fresh process says to every case, in one go; the folder must stay as it was."""
    folder = tmp_path_factory.mktemp("commands")
    picture = np.random.default_rng(0).integers(0, 256, (99, 99, 3), np.uint8)
    Image.fromarray(picture).save(folder / "photo.png")
    Image.fromarray(np.full_like(picture, 99)).save(folder / "grey.png")
    (folder / "cut.png").write_bytes((folder / "photo.png").read_bytes()[:5000])
    (folder / "text.jpg").write_text("hello")
    for name in ("empty.jpg", "avatar.npz", "evil.pkl"):
        (folder / name).touch()
    os.mkfifo(folder / "pipe")
    cases = {name: list(map(str, argv)) for name, (argv, _) in CASES.items()}
    for name, (text, _) in TOML.items():
        data = text if isinstance(text, bytes) else text.encode()
        (folder / f"{name}.toml").write_bytes(data)
        cases[f"TOML {name}"] = [*S, "--config", f"{name}.toml"]
    before = sorted(path.name for path in folder.iterdir())
    run = subprocess.run(
        [sys.executable, "-c", RUN.format(heavy=HEAVY)],
        input=json.dumps(list(cases.values())),
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    assert sorted(path.name for path in folder.iterdir()) == before
    return dict(zip(cases, json.loads(run.stdout), strict=True))


@pytest.mark.parametrize("name", [*CASES, *(f"TOML {name}" for name in TOML)])
def test_a_mistake_is_told_at_once_in_one_line(told, name):
    code, text, loaded = told[name]
    says = CASES[name][1] if name in CASES else TOML[name.removeprefix("TOML ")][1]
    lines = text.splitlines()
    assert code == 2 and len(lines) == 1 and lines[0].startswith("error: "), (code, text)
    assert any(word in lines[0] for word in says.split("|")), lines[0]
    assert lines[0].isprintable()
    assert not loaded, f"loaded {loaded} first, which takes seconds"


def test_the_words_that_are_checked_early_are_those_that_exist():
    assert tuple(REFINERS) == options.REFINERS
    assert set(formats.SPLAT_FORMATS) < set(formats.FORMATS)


def test_a_folder_for_results_may_not_exist_yet(tmp_path):
    check_out_folder(tmp_path / "a" / "b")
    check_out_folder("not_there_yet")
    check_out_folder(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match="--out"):
        check_out_folder(tmp_path / "link" / "out")
