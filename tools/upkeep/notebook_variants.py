"""What `profile=full` changes in a notebook, and whether a run of it really did that.

Every notebook declares it in the comment of its parameter `profile`, in one of three forms:

    profile = "embedded"  # "full": what changes, on a GPU
    profile = "embedded"  # "full" (no GPU): what changes
    profile = "embedded"  # no full variant: why not

In a full variant, the check cell prints what `toolkit.profiles.check_full_run` returns.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import papermill

from toolkit.profiles.evidence import FullRun

FULL = re.compile(r'"full"(?P<no_gpu> \(no GPU\))?: (?P<changes>.+)')
NONE = re.compile(r"no full variant: (?P<why>.+)")


@dataclass(frozen=True)
class Variant:
    """What a notebook declares.

    Attributes:
        full: whether `profile=full` changes anything.
        gpu: whether it then needs a GPU.
        text: what changes, or why nothing does.
    """

    full: bool
    gpu: bool
    text: str


def declared(notebook: Path) -> Variant:
    """What a notebook says about its full variant; ends the command if it says nothing."""
    entry = papermill.inspect_notebook(str(notebook)).get("profile", {})
    comment = entry.get("help", "")
    if found := FULL.search(comment):
        return Variant(True, not found["no_gpu"], found["changes"])
    if found := NONE.search(comment):
        return Variant(False, False, found["why"])
    raise SystemExit(
        f'{notebook.name}: the comment of its parameter profile is {comment!r}; wanted "full": ... '
        "or no full variant: ..., see tools/upkeep/notebook_variants.py"
    )


def objection(variant: Variant, ran: FullRun | None, *, on_gpu: bool) -> str:
    """Why an executed full variant does not count; empty if it does.

    Args:
        variant: what the notebook declares.
        ran: what it printed.
        on_gpu: whether the published models are wanted, on a GPU; else a dry run will do.
    """
    if ran is None:
        return "it does not say which models ran (toolkit.profiles.check_full_run)"
    if on_gpu and ran.stand_ins:
        return f"stand-ins ran: {', '.join(ran.stand_ins)}"
    if on_gpu and variant.gpu and ran.peak_gb is None:
        return f"its models ran on {ran.device}"
    return ""
