"""The directory of weights, and the command that fetches a weight into it."""

import os
from pathlib import Path

from toolkit.weights.weight import Weight


def weights_dir() -> Path:
    """The one directory of weights: `TOOLKIT_WEIGHTS`, else `~/.cache/toolkit/weights`."""
    chosen = os.environ.get("TOOLKIT_WEIGHTS")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "toolkit" / "weights"


def fetch_command(weight: Weight) -> str:
    """The one shell command that fetches a weight to where `locate` looks for it."""
    folder = weights_dir() / weight.name
    if not weight.on_hub:
        return weight.recipe.format(folder=folder, source=weight.source)
    words = ["hf download", weight.source]
    words += ["--revision", weight.revision] if weight.revision else []
    words += [f'--exclude "{pattern}"' for pattern in weight.exclude]
    return " ".join([*words, "--local-dir", str(folder)])
