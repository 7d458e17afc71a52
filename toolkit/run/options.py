"""Rules for options that need no model: the command line checks them before it loads one.

The dataclasses that take the same values check them by the same functions. Loads neither torch nor
numpy.
"""

import os
from collections.abc import Iterable, Sequence

from toolkit.errors import fail

PROFILES = ("embedded", "full")
REFINERS = ("repairer", "plain")


def check_choice(name: str, value: str | None, allowed: Iterable[str]) -> None:
    """Refuse a word that is none of the allowed ones; None means that the user gave none.

    Args:
        name: of the option, for the message.
        value: what was given.
        allowed: the words.
    """
    allowed = tuple(allowed)
    if value is not None and value not in allowed:
        fail(name, got=repr(value), wanted=" or ".join(allowed), fix="Check the spelling.")


def check_number(name: str, value: float | None, low: float, high: float) -> None:
    """Refuse a number outside of [low, high], and NaN; None means that the user gave none."""
    if value is not None and not low <= value <= high:
        fail(name, got=value, wanted=f"{low:g} to {high:g}", fix="Or leave it out.")


def check_seed(seed: int) -> None:
    """A seed is a whole number from 0 to 2^63."""
    if not isinstance(seed, int) or not 0 <= seed < 2**63:
        fail("seed", got=repr(seed), wanted="a whole number from 0 to 2^63", fix="Try 0.")


def check_views(num: int | None) -> None:
    """A turntable has 4k + 1 frames."""
    if num is not None and (num < 5 or num % 4 != 1):
        wanted = "4k + 1 of at least 5 (5, 9, 13, 17, 21, ...)"
        fail("views", got=num, wanted=wanted, fix="Try 13.")


def check_num_gaussians(num: int | None) -> None:
    """Between the coarsest and the finest avatar that the anchors were made for."""
    if num is not None and not 10_000 <= num <= 80_000:
        fail("gaussians", got=num, wanted="10000 to 80000", fix="Try 20000.")


def check_clip_size(size: Sequence[int] | None) -> None:
    """Height and width are multiples of 16."""
    if size is not None and (
        len(size) != 2 or any(not isinstance(n, int) or n < 16 or n % 16 for n in size)
    ):
        fail(
            "size",
            got=size,
            wanted="height and width in multiples of 16",
            fix="Try 192x96, or 832x480 for Wan2.1.",
        )


def parse_size(text: str | None) -> tuple[int, int] | None:
    """Height and width of "192x96", checked; None if there is no text."""
    if text is None:
        return None
    try:
        height, width = (int(side) for side in text.lower().split("x"))
    except ValueError:
        fail("size", got=repr(text), wanted="HEIGHTxWIDTH in pixels", fix="Try 192x96.")
    check_clip_size((height, width))
    return height, width


def check_out_folder(path: str | os.PathLike) -> None:
    """Refuse a folder for results that is a file, lies in one, or may not be written."""
    got, parent = None, os.path.abspath(path)
    while not os.path.lexists(parent):  # up to the part of the path that is there
        parent = os.path.dirname(parent)
    if not str(path):
        got = "an empty name"
    elif not os.path.isdir(parent):
        got = f"the file {parent}"
    elif not os.access(parent, os.W_OK | os.X_OK):
        got = f"{parent}, which may not be written"
    if got:
        fail(
            "Output folder",
            got=got,
            wanted="a folder that can be written",
            fix="Choose another --out.",
        )
