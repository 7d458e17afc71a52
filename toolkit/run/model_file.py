"""Our own models on disk: float16 weights, with the configuration in the file's metadata."""

import json
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import TypeVar

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from toolkit.errors import MissingFileError, fail
from toolkit.run.files import atomic_path

Config = TypeVar("Config")


def write_model(model: nn.Module, path: str | os.PathLike, **notes: str) -> None:
    """Write the weights of a model whose `config` is a dataclass, and notes, as safetensors."""
    tensors = {
        key: (value.half() if value.is_floating_point() else value).contiguous()
        for key, value in model.state_dict().items()
    }
    with atomic_path(path) as tmp:
        save_file(tensors, tmp, metadata={"config": json.dumps(asdict(model.config)), **notes})


def read_model(
    path: str | os.PathLike, config_type: type[Config], *, what: str, written_by: str, made_by: str
) -> tuple[Config, dict[str, Tensor]]:
    """The configuration and the weights that `write_model` wrote.

    Args:
        path: of the file.
        config_type: dataclass of the configuration; a file of another model has other fields.
        what: kind of model, for the error.
        written_by: the function that writes such files, for the error.
        made_by: the command that makes the file, for the error.

    Raises:
        MissingFileError, InputError: no such file, or one of another model.
    """
    if not Path(path).is_file():
        raise MissingFileError(f"{path} is missing. Make it with: {made_by}")
    with safe_open(str(path), "pt") as file:
        config = json.loads((file.metadata() or {}).get("config", "{}"))
        if not config or not config.keys() <= {field.name for field in fields(config_type)}:
            fail(
                f"{path}",
                got=f"no {what} config in its metadata",
                wanted=f"a file of {written_by}",
                fix=f"Make it with: {made_by}",
            )
        weights = {key: file.get_tensor(key) for key in file.keys()}
    # JSON has no tuples
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
    return config_type(**values), weights
