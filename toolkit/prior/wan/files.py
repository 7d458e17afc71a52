"""Which Wan2.1 checkpoints exist, where their files lie, and whether a folder really is one.

Nothing here loads a weight, imports diffusers or downloads unless asked to.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import MissingFileError, fail
from toolkit.weights.sets import hash_ends

_DIT = {
    "patch_size": (1, 2, 2),
    "attention_head_dim": 128,
    "in_channels": 16,
    "out_channels": 16,
    "text_dim": 4096,
    "freq_dim": 256,
    "qk_norm": "rms_norm_across_heads",
    "cross_attn_norm": True,
}

# Source: google/umt5-xxl's config as copied into the text_encoder folder of all Wan2.1 checkpoints
UMT5_XXL = {
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
    "vocab_size": 256384,
    "feed_forward_proj": "gated-gelu",
    "relative_attention_num_buckets": 32,
}


@dataclass(frozen=True)
class WanModel:
    """A published checkpoint.

    Attributes:
        hub_id: name on the Hugging Face hub; Apache-2.0, no account needed.
        revision: commit of it that this code was written against.
        transformer: configuration of WanTransformer3DModel.
        download_gb: size of the whole folder (10^9 bytes; stored in float32).
    """

    hub_id: str
    revision: str
    transformer: dict
    download_gb: float


# Source of the numbers: wan/configs/*.py of Wan-Video/Wan2.1 and diffusers' conversion script
MODELS = {
    "t2v-1.3b": WanModel(
        "Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
        "0fad780a534b6463e45facd96134c9f345acfa5b",
        _DIT | {"num_attention_heads": 12, "ffn_dim": 8960, "num_layers": 30},
        28.9,
    ),
    "t2v-14b": WanModel(
        "Wan-AI/Wan2.1-T2V-14B-Diffusers",
        "38ec498cb3208fb688890f8cc7e94ede2cbd7f68",
        _DIT | {"num_attention_heads": 40, "ffn_dim": 13824, "num_layers": 40},
        80.4,
    ),
    "i2v-14b-480p": WanModel(
        "Wan-AI/Wan2.1-I2V-14B-480P-Diffusers",
        "b184e23a8a16b20f108f727c902e769e873ffc73",
        _DIT
        | {
            "num_attention_heads": 40,
            "ffn_dim": 13824,
            "num_layers": 40,
            "in_channels": 36,
            "image_dim": 1280,
            "added_kv_proj_dim": 5120,
        },
        90.1,
    ),
}


def find_wan(source: str | Path, revision: str | None = None, *, download: bool = False) -> Path:
    """Folder of a checkpoint on this machine.

    Args:
        source: a folder, a key of `MODELS`, or a hub id.
        revision: commit on the hub; may be left out for the checkpoints of `MODELS`.
        download: fetch what is missing; else only the hub's cache is searched.

    Raises:
        MissingFileError: not here; the message holds the command that fetches it.
        InputError: a hub id without a pinned revision.
    """
    if Path(source).is_dir():
        return Path(source)
    known = [m for key, m in MODELS.items() if str(source) in (key, m.hub_id)]
    hub_id = known[0].hub_id if known else str(source)
    revision = revision or (known[0].revision if known else None)
    if revision is None:
        fail(
            f"Wan checkpoint {source}",
            got="no such folder and no revision",
            wanted=f"a folder, one of {sorted(MODELS)}, or a hub id with revision=",
            fix="Name the commit, so that tomorrow's run loads today's weights.",
        )
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
        size = f" (about {known[0].download_gb:.0f} GB)" if known else ""
        raise MissingFileError(
            f"{source} is not on this machine. Fetch it{size} with: "
            f"hf download {hub_id} --revision {revision}"
        ) from error


def check_wan(folder: Path) -> dict:
    """Read what decides how a checkpoint is loaded, and refuse its look-alikes.

    Returns:
        `kind` ("t2v" or "i2v"), `shift` (of the noise schedule it is published with),
        `image_encoder` (its class name or None).

    Raises:
        MissingFileError: a file of the folder is missing.
        InputError: Wan2.2, VACE or something else.
    """
    index = _read(folder / "model_index.json")
    transformer, vae = _read(folder / "transformer/config.json"), _read(folder / "vae/config.json")
    name = transformer.get("_class_name")
    if name != "WanTransformer3DModel" or vae.get("_class_name") != "AutoencoderKLWan":
        _refuse(folder, f"transformer class {name}, VAE class {vae.get('_class_name')}")
    if (index.get("transformer_2") or [None])[0] or index.get("expand_timesteps"):
        _refuse(folder, "a Wan2.2 folder (two transformers, or a time step for each token)")
    channels = transformer.get("in_channels", 16)
    if vae.get("z_dim", 16) != 16 or vae.get("patch_size") or channels not in (16, 36):
        _refuse(folder, f"{channels} input channels, {vae.get('z_dim', 16)} latent channels")
    image_encoder = (index.get("image_encoder") or [None, None])[1]
    return {
        "kind": "t2v" if channels == 16 else "i2v",
        "shift": _shift(folder),
        "image_encoder": image_encoder,
    }


def read_part(kind, folder: Path, dtype):
    """One model of a checkpoint, from safetensors only, in eval mode and without gradients.

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
    if missing := sorted(report["missing_keys"]):
        fail(
            f"{folder}",
            got=f"no weights for {missing[0]} and {len(missing) - 1} others",
            wanted=f"all of {kind.__name__}",
            fix="Fetch the checkpoint anew.",
        )
    return model.eval().requires_grad_(False)  # eval: text encoders have dropout


def fingerprint(folder: Path) -> str:
    """Changes when a weight file is exchanged."""
    return hash_ends(
        {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*.safetensors"))}
    )


def _shift(folder: Path) -> float:
    """UniPC calls it `flow_shift`, Euler `shift`; turning one scheduler's config into the other's
    class keeps the wrong one and falls back to 1 (diffusers 0.42)."""
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
