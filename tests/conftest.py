"""Shapes in signatures are checked while the tests run; pictures and bars stay quiet."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("TQDM_DISABLE", "1")

from jaxtyping import install_import_hook  # noqa: E402

# Annotated arguments and results of these parts are checked as they are used; users pay nothing.
# Not `render`: numba pickles what its kernels close over, and cannot pickle a checked function.
CHECKED = (
    "cameras",
    "gaussians",
    "body.anchors",
    "body.binding",
    "body.motion",
    "body.rig",
    "body.rotations",
    "coarse.lhm.blocks",
    "coarse.lhm.decoder",
    "coarse.lhm.encoders",
    "coarse.lhm.network",
    "coarse.lhm.posing",
    "coarse.lhm.skinning",
    "coarse.lhm.checkpoint",
    "coarse.lhm.from_photo",
    "photo.vit",
    "prior.prior",
    "prior.sdedit",
    "prior.turntable.model",
)
if os.environ.get("TOOLKIT_CHECK_SHAPES", "1") == "1":
    install_import_hook([f"toolkit.{name}" for name in CHECKED], "shape_checker.checked")
