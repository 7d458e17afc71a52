"""One progress bar per stage, on the terminal or in a notebook; TQDM_DISABLE=1 silences it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm.auto import tqdm

_silent = False


@contextmanager
def silent() -> Iterator[None]:
    """No bars inside the block, e.g. when the pipeline runs on many people under one outer bar."""
    global _silent
    before, _silent = _silent, True
    try:
        yield
    finally:
        _silent = before


class Progress:
    """A bar that can be passed as a callback.

    with Progress("refit", 200) as advance:
        refit(..., callback=advance)
    """

    def __init__(self, name: str, total: int = 1):
        """Draw an empty bar.

        Args:
            name: printed before the bar.
            total: number of steps.
        """
        # tqdm itself reads TQDM_DISABLE, but its bar for notebooks does not
        silenced = _silent or os.environ.get("TQDM_DISABLE", "") not in ("", "0")
        self.bar = tqdm(
            total=total,
            desc=f"{name:<10}",
            leave=True,
            mininterval=0.3,
            disable=silenced,
            bar_format="{desc} {bar:24} {n_fmt}/{total_fmt} {elapsed}{postfix}",
        )

    def __enter__(self) -> "Progress":
        return self

    def __call__(self, *_: object) -> None:
        """Advance by one step; the arguments differ from stage to stage and are ignored."""
        self.bar.update(1)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:  # fill the bar: a stage may stop early, or take one step only
            self.bar.update(self.bar.total - self.bar.n)
        self.bar.close()
