"""One progress bar a stage, on the terminal or in a notebook; TQDM_DISABLE=1 silences it."""

from tqdm.auto import tqdm


class Progress:
    """A bar that is a callback: `with Progress("refit", 200) as tick: fit(..., callback=tick)`."""

    def __init__(self, name: str, total: int = 1):
        self.bar = tqdm(total=total, desc=f"{name:<10}", leave=True, mininterval=0.3,
                        bar_format="{desc} {bar:24} {n_fmt}/{total_fmt} {elapsed}{postfix}")

    def __enter__(self) -> "Progress":
        return self

    def __call__(self, *_) -> None:
        """One step done; takes whatever a stage's callback is given."""
        self.bar.update(1)

    def __exit__(self, kind, *_) -> None:
        if kind is None:
            self.bar.update(self.bar.total - self.bar.n)
        self.bar.close()
