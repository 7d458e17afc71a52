"""Weights that do not ship with us: one table; where each is looked for; the command that gets it.

Nothing here downloads. A weight is found in `TOOLKIT_WEIGHTS/<name>` or, if it comes from the
Hugging Face hub, in the hub's cache at the pinned revision: a folder of your own wins.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import MissingFileError, fail

LHM_BUCKET = "https://virutalbuy-public.oss-cn-hangzhou.aliyuncs.com/share/aigc3d/data/LHM/"
LHM_LICENCE = "CC BY-NC 4.0 (model card)"
LHM_NOTE = "Non-commercial: weights CC BY-NC, and they contain SMPL-X (MPI, non-commercial)."
FLUX_NOTE = (
    "Weights non-commercial. Outputs may be used, but not to train a model that competes "
    "with FLUX.1-dev; for a training set prefer an Apache-2.0 preset."
)
LLAMA_NOTE = (
    "A model trained on its outputs and passed on must have a name beginning with "
    '"Llama" and show "Built with Llama".'
)
NOT_DEV = ("flux1-*.safetensors", "ae.safetensors")  # the same weights once more, in one file
PIPELINE = (
    "model_index.json",
    "transformer/*.safetensors",
    "text_encoder/*.safetensors",
    "vae/*.safetensors",
)
CHAT = ("config.json", "tokenizer.json", "model*.safetensors")
POINTS_NOTE = (
    "Anchors that the checkpoint lacks. The bucket refused access (403) for a time in "
    "2026; no mirror of these files is known."
)


@dataclass(frozen=True)
class Weight:
    """One published weight.

    Attributes:
        name: its folder in TOOLKIT_WEIGHTS, and what code and `doctor` call it.
        stage: body, pose, coarse, prior, prompts, images or metrics.
        source: hub id "owner/name", or the URL of a file or page.
        files: glob patterns relative to the folder; each must match a file.
        bytes: of the download; None where nobody lists it.
        licence: of the weights, not of the code.
        revision: 40 hex digits of a hub commit; None is main, unpinned.
        gated: the source wants an account and a click or a form first.
        note: a licence term that binds, or a catch.
        exclude: files of the hub repository that nobody here needs.
        recipe: the command for what does not come from the hub; `{folder}` is filled in.
        about: `bytes` is computed from parameter counts or read off a rounded listing.
        folder_variable: an environment variable that names its folder; looked at first if set.
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
    about: bool = False
    folder_variable: str = ""

    @property
    def on_hub(self) -> bool:
        return "://" not in self.source

    @property
    def pin(self) -> str:
        """The revision in words."""
        return self.revision or ("main (unpinned)" if self.on_hub else "no revision")

    @property
    def command(self) -> str:
        """The one command that fetches it to where `locate` looks."""
        folder = weights_dir() / self.name
        if not self.on_hub:
            return self.recipe.format(folder=folder, source=self.source)
        words = ["hf download", self.source]
        words += ["--revision", self.revision] if self.revision else []
        words += [f'--exclude "{pattern}"' for pattern in self.exclude]
        return " ".join([*words, "--local-dir", str(folder)])


@dataclass(frozen=True)
class Located:
    """What was found of a weight."""

    folder: Path | None  # the first complete one, else the first that holds any of it
    missing: tuple[str, ...]  # patterns and shards that are not there
    looked: tuple[Path, ...]  # every folder that was tried, in order
    bytes: int = 0  # on disk, of all files in the folder

    @property
    def complete(self) -> bool:
        return self.folder is not None and not self.missing


def _lhm(size: str, count: int | None, revision: str | None = None, about: bool = True) -> Weight:
    return Weight(
        f"lhm-{size.lower()}",
        "coarse",
        f"3DAIGC/LHM-{size}",
        ("config.json", "model.safetensors"),
        count,
        LHM_LICENCE,
        revision,
        note=LHM_NOTE,
        about=about,
    )


def _wan(name: str, source: str, count: int, revision: str) -> Weight:
    return Weight(name, "prior", source, PIPELINE, count, "Apache-2.0", revision)


# Revisions and sizes as public hub listings gave them in 2026, none invented: where a revision
# could not be seen the row says None, and `about` marks sizes that are not a listing's.
WEIGHTS: dict[str, Weight] = {
    weight.name: weight
    for weight in (
        Weight(
            "smplx",
            "body",
            "https://smpl-x.is.tue.mpg.de",
            ("**/SMPLX_NEUTRAL.npz",),
            None,
            "SMPL-X model licence (MPI), non-commercial",
            gated=True,
            note="Non-commercial research; one licence per person or institute, not to be shared.",
            recipe="unzip -j models_smplx_v1_1.zip '*/SMPLX_NEUTRAL.npz' -d {folder}"
            "   # after registering at {source}",
        ),
        Weight(
            "multi-hmr",
            "pose",
            "https://download.europe.naverlabs.com/ComputerVision/MultiHMR/multiHMR_896_L.pt",
            ("multiHMR_896_L.pt",),
            1_290_000_000,
            "NAVER, non-commercial",
            note="Non-commercial; works on SMPL-X.",
            about=True,
            recipe="curl --create-dirs -L {source} -o {folder}/multiHMR_896_L.pt",
        ),
        _lhm("MINI", 2_775_668_536, about=False),
        _lhm("500M", 3_800_000_000),
        _lhm("500M-HF", 3_800_000_000, "dd6392905187a91fd67b3f6962aa74481e943764"),
        _lhm("1B", 6_852_000_000, "cd8a1cc900a557d83187cfc2e0a91cef3eba969d"),
        _lhm("1B-HF", 6_852_462_632, "92372582f660066b9f1b9513860744357265b3d5", about=False),
        Weight(
            "lhm-points-20k",
            "coarse",
            LHM_BUCKET + "1_20000.ply",
            ("**/1_20000.ply",),
            None,
            LHM_LICENCE,
            note="For LHM-MINI. " + POINTS_NOTE,
            recipe="curl --create-dirs -fL {source} -o {folder}/1_20000.ply",
        ),
        Weight(
            "lhm-points-40k",
            "coarse",
            LHM_BUCKET + "LHM_prior_model.tar",
            ("**/1_40000.ply",),
            18_818_365_440,
            LHM_LICENCE,
            note="For the 500M and 1B models; one small file of a "
            "large archive, of which LHM's voxel grid is not needed. " + POINTS_NOTE,
            recipe="mkdir -p {folder} && curl -fL {source} | "
            "tar -x -C {folder} --wildcards '*/1_40000.ply'",
        ),
        Weight(
            "sapiens-1b",
            "coarse",
            "facebook/sapiens-pretrain-1b-torchscript",
            ("sapiens_1b_epoch_173_torchscript.pt2",),
            4_680_000_000,
            "CC BY-NC 4.0",
            note="Non-commercial; LHM's body encoder.",
            about=True,
        ),
        Weight(
            "dinov2-large",
            "coarse",
            "facebook/dinov2-with-registers-large",
            ("config.json", "model.safetensors"),
            1_220_000_000,
            "Apache-2.0",
            "e4c89a4e05589de9b3e188688a303d0f3c04d0f3",
            about=True,
            note="Only to train: LHM's checkpoints already hold their head encoder.",
        ),
        _wan(
            "wan2.1-t2v-1.3b",
            "Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
            28_928_887_859,
            "0fad780a534b6463e45facd96134c9f345acfa5b",
        ),
        _wan(
            "wan2.1-t2v-14b",
            "Wan-AI/Wan2.1-T2V-14B-Diffusers",
            80_406_933_703,
            "38ec498cb3208fb688890f8cc7e94ede2cbd7f68",
        ),
        _wan(
            "wan2.1-i2v-14b-480p",
            "Wan-AI/Wan2.1-I2V-14B-480P-Diffusers",
            90_104_322_037,
            "b184e23a8a16b20f108f727c902e769e873ffc73",
        ),
        Weight(
            "llama-3.3-70b",
            "prompts",
            "meta-llama/Llama-3.3-70B-Instruct",
            CHAT,
            141_100_000_000,
            "Llama 3.3 Community",
            "6f6073b423013f6a7d4d9f39144961bfbfbc386b",
            gated=True,
            note=LLAMA_NOTE,
            exclude=("original/*",),
            about=True,
        ),
        Weight(
            "qwen2.5-7b",
            "prompts",
            "Qwen/Qwen2.5-7B-Instruct",
            CHAT,
            15_240_000_000,
            "Apache-2.0",
            "a09a35458c702b33eeacc393d103063234e8bc28",
            about=True,
        ),
        Weight(
            "smollm2-1.7b",
            "prompts",
            "HuggingFaceTB/SmolLM2-1.7B-Instruct",
            CHAT,
            3_420_000_000,
            "Apache-2.0",
            "31b70e2e869a7173562077fd711b654946d38674",
            about=True,
            exclude=("onnx/*", "runs/*"),
        ),
        Weight(
            "flux.1-dev",
            "images",
            "black-forest-labs/FLUX.1-dev",
            PIPELINE,
            33_740_000_000,
            "FLUX.1-dev non-commercial",
            "3de623fc3c33e44ffbe2bad470d0f45bccf2eb21",
            gated=True,
            note=FLUX_NOTE,
            exclude=NOT_DEV,
            about=True,
        ),
        Weight(
            "flux.1-schnell",
            "images",
            "black-forest-labs/FLUX.1-schnell",
            PIPELINE,
            33_740_000_000,
            "Apache-2.0",
            "741f7c3ce8b383c54771c7003378a50191e9efe9",
            gated=True,
            note="Free licence, but the hub asks for a click first.",
            exclude=NOT_DEV,
            about=True,
        ),
        Weight(
            "flux.2-klein-4b",
            "images",
            "black-forest-labs/FLUX.2-klein-4B",
            PIPELINE,
            15_980_141_329,
            "Apache-2.0",
            "e7b7dc27f91deacad38e78976d1f2b499d76a294",
            exclude=("flux-2-klein-4b.safetensors",),
        ),
        Weight(
            "z-image-turbo",
            "images",
            "Tongyi-MAI/Z-Image-Turbo",
            PIPELINE,
            33_000_000_000,
            "Apache-2.0",
            "f332072aa78be7aecdf3ee76d5c247082da564a6",
            about=True,
        ),
        Weight(
            "lpips-alexnet",
            "metrics",
            "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
            ("alexnet*.pth", "alex.pth"),
            244_400_000,
            "BSD-3-Clause",
            note="Optional. `alex.pth`, the linear heads, is `lpips/weights/v0.1/alex.pth` of the "
            "PyPI package lpips (BSD-2-Clause): copy it into the same folder.",
            about=True,
            folder_variable="TOOLKIT_LPIPS",
            recipe="curl --create-dirs -L {source} -o {folder}/alexnet-owt-7be5be79.pth",
        ),
    )
}


def weights_dir() -> Path:
    """The one directory of weights: `TOOLKIT_WEIGHTS`, else `~/.cache/toolkit/weights`."""
    told = os.environ.get("TOOLKIT_WEIGHTS")
    return Path(told).expanduser() if told else Path.home() / ".cache" / "toolkit" / "weights"


def hub_cache() -> Path:
    """The hub's cache, found as huggingface_hub finds it, without importing it."""
    env = os.environ
    if told := env.get("HF_HUB_CACHE") or env.get("HUGGINGFACE_HUB_CACHE"):
        return Path(told).expanduser()
    home = env.get("HF_HOME") or Path(env.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface"
    return Path(home).expanduser() / "hub"


def _snapshots(weight: Weight) -> list[Path]:
    """The hub cache's folders of a weight: the pinned revision's, or what main points to."""
    repository = hub_cache() / f"models--{weight.source.replace('/', '--')}"
    if weight.revision:
        return [repository / "snapshots" / weight.revision]
    main = repository / "refs" / "main"
    return [repository / "snapshots" / main.read_text().strip()] if main.is_file() else [repository]


def missing_files(folder: Path, patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Patterns that match no file, and shards that a `*.index.json` names but that are not there.

    A link whose target is gone (an interrupted download) counts as missing.
    """
    missing = [p for p in patterns if not any(path.is_file() for path in folder.glob(p))]
    for index in sorted(folder.rglob("*.safetensors.index.json")):
        try:
            shards = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        except (ValueError, KeyError, AttributeError, OSError):
            missing.append(f"{index.relative_to(folder)} (unreadable)")
            continue
        missing += [
            str(shard.relative_to(folder))
            for name in shards
            if not (shard := index.parent / name).is_file()
        ]
    return tuple(missing)


def locate(weight: Weight) -> Located:
    """Look in a weight's own folders, then in the hub's cache; the first complete copy wins."""
    own = os.environ.get(weight.folder_variable) if weight.folder_variable else None
    looked = (weights_dir() / weight.name, *(_snapshots(weight) if weight.on_hub else ()))
    looked = (Path(own).expanduser(), *looked) if own else looked
    partial = None
    for folder in (path for path in looked if path.is_dir()):
        missing = missing_files(folder, weight.files)
        if set(missing) >= set(weight.files):
            continue  # nothing of it here
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        found = Located(folder, missing, looked, size)
        if found.complete:
            return found
        partial = partial or found
    return partial or Located(None, weight.files, looked)


def require(name: str) -> Path:
    """Folder of a weight.

    Raises:
        InputError: no such row.
        MissingFileError: with the command that fetches it, its licence and its size.
    """
    if name not in WEIGHTS:
        fail("weight", got=repr(name), wanted=f"one of {', '.join(WEIGHTS)}", fix="Check the name.")
    weight, found = WEIGHTS[name], locate(WEIGHTS[name])
    if not found.complete:
        gate = ", accept its terms first" if weight.gated else ""
        fail(
            f"Weight {name} ({weight.licence}, {readable(weight)}{gate})",
            got=f"no {', '.join(found.missing[:3])} in {found.folder or found.looked[0]}",
            wanted="a complete copy",
            fix=f"Get it with: {weight.command}",
            kind=MissingFileError,
        )
    return found.folder


def readable(weight: Weight) -> str:
    """Size of the download in words, e.g. "~3.8 GB"."""
    if weight.bytes is None:
        return "size not known"
    return f"{'~' if weight.about else ''}{weight.bytes / 1e9:.1f} GB"
