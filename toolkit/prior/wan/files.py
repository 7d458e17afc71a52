"""Where a Wan2.1 checkpoint lies, whether a folder really is one, and how its parts are read.

Nothing here downloads unless it is asked to.
"""

import json
from pathlib import Path

import torch
from torch import nn

from toolkit.errors import MissingFileError, fail
from toolkit.prior.wan.advice import advice_for
from toolkit.prior.wan.published import MODELS
from toolkit.weights.search import locate
from toolkit.weights.sets import hash_ends


def find_wan(source: str | Path, revision: str | None = None, *, download: bool = False) -> Path:
    """Folder of a checkpoint on this machine.

    Args:
        source: a folder, a key of `MODELS`, or a hub id.
        revision: commit on the hub; may be left out for the checkpoints of `MODELS`.
        download: fetch what is missing into the hub's cache; else nothing is downloaded.

    Raises:
        MissingFileError: not on this machine; the message holds the command that fetches it.
        InputError: a hub id without a pinned revision.
    """
    if Path(source).is_dir():
        return Path(source)
    published = {key: model.weight for key, model in MODELS.items()}
    published |= {weight.source: weight for weight in published.values()}
    weight = published.get(str(source))
    if weight and revision in (None, weight.revision) and (copy := locate(weight)).complete:
        return copy.folder
    hub_id = weight.source if weight else str(source)
    revision = revision or (weight.revision if weight else None)
    if revision is None:
        fail(
            f"Wan checkpoint {source}",
            got="no such folder and no revision",
            wanted=f"a folder, one of {sorted(MODELS)}, or a hub id with revision=",
            fix="Name the commit, so that tomorrow's run loads today's weights.",
        )
    return _find_on_hub(
        hub_id, revision, download=download, size=f" ({weight.size_text})" if weight else ""
    )


def _find_on_hub(hub_id: str, revision: str, *, download: bool, size: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                hub_id,
                revision=revision,
                local_files_only=not download,
                allow_patterns=["*.json", "*.safetensors", "*.model"],
            )
        )
    except (LocalEntryNotFoundError, HFValidationError, HfHubHTTPError, OSError) as error:
        raise MissingFileError(
            f"{hub_id} is not on this machine. Fetch it{size} with: "
            f"hf download {hub_id} --revision {revision}"
        ) from error


def check_wan(folder: Path) -> dict:
    """Read what decides how a checkpoint is loaded, and refuse its look-alikes.

    Wan2.2 and VACE come in folders of the same layout, but their networks are called differently.

    Returns:
        `kind` ("t2v" or "i2v"), `shift` (in the scheduler's file), `image_encoder` (its class name
        or None), `advice` (shift and guidance for a network of this size).

    Raises:
        MissingFileError: a file of the folder is missing.
        InputError: Wan2.2, VACE or something else.
    """
    index = _read(folder / "model_index.json")
    transformer, vae = _read(folder / "transformer/config.json"), _read(folder / "vae/config.json")
    name = transformer.get("_class_name")
    if name != "WanTransformer3DModel" or vae.get("_class_name") != "AutoencoderKLWan":
        _refuse(folder, f"transformer class {name}, VAE class {vae.get('_class_name')}")
    # model_index.json maps each part to [library, class]; [null, null] is a part that is not there
    if (index.get("transformer_2") or [None])[0] or index.get("expand_timesteps"):
        _refuse(folder, "a Wan2.2 folder (two transformers, or one time step per token)")
    channels = transformer.get("in_channels", 16)
    if vae.get("z_dim", 16) != 16 or vae.get("patch_size") or channels not in (16, 36):
        _refuse(folder, f"{channels} input channels, {vae.get('z_dim', 16)} latent channels")
    image_encoder = (index.get("image_encoder") or [None, None])[1]
    return {
        "kind": "t2v" if channels == 16 else "i2v",
        "shift": _shift(folder),
        "image_encoder": image_encoder,
        "advice": advice_for(transformer, _shift(folder)),
    }


def read_part(
    kind: type[nn.Module], folder: Path, dtype: torch.dtype, *, tied: tuple[str, ...] = ()
) -> nn.Module:
    """One model of a checkpoint, from safetensors only, in eval mode and without gradients.

    Args:
        kind: a class of diffusers or transformers with `from_pretrained`.
        folder: of this part, e.g. `.../vae`.
        dtype: of the weights in memory; the few that the class itself keeps in float32 stay so.
        tied: names that a file need not hold because they are copies of others; the caller checks
            that they are.

    Raises:
        MissingFileError: no weights, or a download that was cut short.
        InputError: weights are missing in the file; both libraries would fill in random ones.
    """
    from safetensors import SafetensorError

    try:
        model, report = kind.from_pretrained(
            folder, dtype=dtype, use_safetensors=True, output_loading_info=True
        )
    except (OSError, SafetensorError) as error:
        raise MissingFileError(
            f"{folder} lacks weights or was cut short; fetch it again with hf download. ({error})"
        ) from error
    if missing := sorted(set(report["missing_keys"]) - set(tied)):
        fail(
            f"{folder}",
            got=f"no weights for {missing[0]} and {len(missing) - 1} others",
            wanted=f"all of {kind.__name__}",
            fix="Fetch the checkpoint anew.",
        )
    return model.eval().requires_grad_(False)  # eval: text encoders have dropout


def fingerprint(folder: Path) -> str:
    """A digest that changes when a weight file is exchanged."""
    return hash_ends(
        {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*.safetensors"))}
    )


def _shift(folder: Path) -> float:
    """Shift of the noise schedule, read from the scheduler's file.

    UniPC calls it `flow_shift`, Euler `shift`. We read it ourselves, because diffusers 0.42 loses
    it when an Euler scheduler is made from UniPC's config: the shift is then 1.
    """
    path = folder / "scheduler/scheduler_config.json"
    config = _read(path)
    shift = config.get("flow_shift", config.get("shift"))
    if not isinstance(shift, int | float):
        fail(
            f"{path}",
            got="no shift",
            wanted="flow_shift (UniPC) or shift (Euler)",
            fix="Fetch the checkpoint anew.",
        )
    return float(shift)


def _read(path: Path) -> dict:
    if not path.is_file():
        raise MissingFileError(
            f"{path} is missing: not a Wan2.1 folder in the layout of diffusers "
            f'("...-Diffusers" on the hub), or its download was cut short.'
        )
    return json.loads(path.read_text())


def _refuse(folder: Path, got: str) -> None:
    fail(
        f"{folder}",
        got=got,
        wanted="Wan2.1 T2V or I2V (16 or 36 input channels, a 16-channel VAE)",
        fix=f"Use one of {sorted(MODELS)}.",
    )
