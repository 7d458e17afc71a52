"""One row of the table of weights: what it is, where it is published, and under which licence."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Weight:
    """One published weight, as a plain row of data.

    Attributes:
        name: what code and `doctor` call it, and the name of its folder in `TOOLKIT_WEIGHTS`.
        stage: body, pose, coarse, prior, prompts, images or metrics.
        source: hub id "owner/name", or the URL of a file or page.
        files: glob patterns relative to the folder; each must match at least one file.
        bytes: size of the download; None where nobody lists it.
        licence: of the weights, which is often stricter than that of the code.
        revision: 40 hexadecimal digits of a commit on the hub; None means main, unpinned.
        gated: the source asks for an account, and for a click or a form, before it lets you in.
        note: a condition of the licence that binds you, or something to know before the download.
        exclude: files of the hub repository that nobody here needs.
        recipe: shell command for what does not come from the hub; `{folder}` and `{source}` are
            filled in.
        approximate: `bytes` comes from parameter counts or from a rounded listing.
        folder_variable: environment variable that may name the folder; it is looked at first.
    """

    name: str
    stage: str
    source: str
    files: tuple[str, ...]
    bytes: int | None
    licence: str
    revision: str | None = None
    gated: bool = False
    note: str = ""
    exclude: tuple[str, ...] = ()
    recipe: str = ""
    approximate: bool = False
    folder_variable: str = ""

    @property
    def on_hub(self) -> bool:
        """Whether the source is a repository on the Hugging Face hub, not a URL."""
        return "://" not in self.source

    @property
    def pin(self) -> str:
        """The revision in words."""
        return self.revision or ("main (unpinned)" if self.on_hub else "no revision")

    @property
    def size_text(self) -> str:
        """Size of the download in words, e.g. "~3.8 GB"."""
        if self.bytes is None:
            return "size not known"
        return f"{'~' if self.approximate else ''}{self.bytes / 1e9:.1f} GB"
