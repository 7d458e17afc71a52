"""One progress bar a stage, on the terminal or in a notebook; TQDM_DISABLE=1 silences it."""

from collections.abc import Iterator
from contextlib import contextmanager

from tqdm.auto import tqdm

_silent = False


@contextmanager
def silent() -> Iterator[None]:
    """No bars inside the block: whoever runs the pipeline on many people draws one of their own."""
    global _silent
    before, _silent = _silent, True
    try:
        yield
    finally:
        _silent = before


class Progress:
    """A bar that is a callback: `with Progress("refit", 200) as tick: fit(..., callback=tick)`."""

    def __init__(self, name: str, total: int = 1):
        quiet = {"disable": True} if _silent else {}  # else TQDM_DISABLE decides
        self.bar = tqdm(
            total=total,
            desc=f"{name:<10}",
            leave=True,
            mininterval=0.3,
            **quiet,
            bar_format="{desc} {bar:24} {n_fmt}/{total_fmt} {elapsed}{postfix}",
        )

    def __enter__(self) -> "Progress":
        return self

    def __call__(self, *_) -> None:
        """One step done; takes whatever a stage's callback is given."""
        self.bar.update(1)

    def __exit__(self, kind, *_) -> None:
        if kind is None:
            self.bar.update(self.bar.total - self.bar.n)
        self.bar.close()
