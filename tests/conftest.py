"""Shapes in signatures are checked while the tests run; pictures and bars stay quiet."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("TQDM_DISABLE", "1")

from jaxtyping import install_import_hook  # noqa: E402

# Every annotated argument and result of `toolkit` is checked by beartype; users pay nothing.
if os.environ.get("TOOLKIT_CHECK_SHAPES", "0") == "1":
    install_import_hook("toolkit", "shape_checker.checked")
