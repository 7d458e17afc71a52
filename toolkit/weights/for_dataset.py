"""Weights that write prompts, draw people for a data set, or measure: never needed for an avatar.

About revisions and sizes, see `for_avatar`.
"""

from toolkit.weights.for_avatar import PIPELINE
from toolkit.weights.weight import Weight

FLUX_NOTE = (
    "Weights non-commercial. Outputs may be used, but not to train a model that competes "
    "with FLUX.1-dev; for a training set prefer an Apache-2.0 preset."
)
LLAMA_NOTE = (
    "A model trained on its outputs and passed on must have a name beginning with "
    '"Llama" and show "Built with Llama".'
)
SINGLE_FILE_COPIES = ("flux1-*.safetensors", "ae.safetensors")  # the same weights a second time
CHAT = ("config.json", "tokenizer.json", "model*.safetensors")

DATASET_WEIGHTS = (
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
        approximate=True,
    ),
    Weight(
        "qwen2.5-7b",
        "prompts",
        "Qwen/Qwen2.5-7B-Instruct",
        CHAT,
        15_240_000_000,
        "Apache-2.0",
        "a09a35458c702b33eeacc393d103063234e8bc28",
        approximate=True,
    ),
    Weight(
        "smollm2-1.7b",
        "prompts",
        "HuggingFaceTB/SmolLM2-1.7B-Instruct",
        CHAT,
        3_420_000_000,
        "Apache-2.0",
        "31b70e2e869a7173562077fd711b654946d38674",
        approximate=True,
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
        exclude=SINGLE_FILE_COPIES,
        approximate=True,
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
        exclude=SINGLE_FILE_COPIES,
        approximate=True,
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
        approximate=True,
    ),
    Weight(
        "lpips-alexnet",
        "metrics",
        "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        ("alexnet*.pth", "alex.pth"),
        244_400_000,
        "BSD-3-Clause",
        note="Optional; its linear heads, alex.pth, are part of the PyPI package lpips "
        "(BSD-2-Clause).",
        approximate=True,
        folder_variable="TOOLKIT_LPIPS",
        recipe="curl --create-dirs -L {source} -o {folder}/alexnet-owt-7be5be79.pth && "
        "pip download --no-deps -d {folder} lpips && "
        "unzip -j {folder}/lpips-*.whl '*/v0.1/alex.pth' -d {folder}",
    ),
)
