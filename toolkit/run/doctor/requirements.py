"""What each stage needs in either profile: shipped files, packages, weights, GPU memory."""

from dataclasses import dataclass

from toolkit.weights.sets import SETS

READY, MISSING, FALLBACK = "ready", "missing", "falls back to embedded"  # states in the report


@dataclass(frozen=True)
class Requirement:
    """What one stage needs in each profile.

    Attributes:
        name: of the stage.
        embedded: files of `data/models` that the embedded profile reads.
        module: dotted name of the full profile's implementation.
        weights: alternatives, each a set of keys of `WEIGHTS` that are enough together.
        packages: that the full implementation imports.
        gpu_gb: GPU memory (10^9 bytes) that the smallest alternative needs; 0 runs without a GPU.
        falls_back: the full profile may use the embedded implementation of this stage instead.
    """

    name: str
    embedded: tuple[str, ...]
    module: str
    weights: tuple[tuple[str, ...], ...] = ((),)  # one alternative, which needs nothing
    packages: tuple[str, ...] = ()
    gpu_gb: float = 0
    falls_back: bool = False


POSE_FILES = (
    "pose_detection.tflite",
    "pose_landmark_full.tflite",
    "selfie_segmentation.tflite",
    "lift.safetensors",
)
CHAT_MODELS = (("llama-3.3-70b",), ("qwen2.5-7b",), ("smollm2-1.7b",))
IMAGE_MODELS = (("flux.1-dev",), ("flux.1-schnell",), ("flux.2-klein-4b",), ("z-image-turbo",))

# GPU memory as the authors and diffusers' documentation give it; we have not measured it.
REQUIREMENTS = (
    Requirement(
        "body", ("body.npz", "rest_space.npz", "motions.npz"), "toolkit.body.npz", SETS["body"]
    ),
    # Multi-HMR predicts the parameters of SMPL-X, so it needs that body model as well.
    Requirement(
        "pose", POSE_FILES, "toolkit.photo.multihmr.model", (("multi-hmr", "smplx"),), gpu_gb=4
    ),
    Requirement(
        "coarse", ("coarse.safetensors",), "toolkit.coarse.lhm.network", SETS["coarse"], gpu_gb=14
    ),
    Requirement(
        "prior",
        ("turntable.safetensors", "turntable_plain.safetensors"),
        "toolkit.prior.wan.model",
        SETS["prior"],
        ("diffusers", "transformers", "accelerate"),
        gpu_gb=9,
    ),
    Requirement(
        "rasteriser", (), "toolkit.render.api", packages=("gsplat",), gpu_gb=2, falls_back=True
    ),
    Requirement(
        "prompts",
        (),
        "toolkit.dataset.prompts_chat",
        CHAT_MODELS,
        ("transformers",),
        falls_back=True,
    ),
    Requirement(
        "images",
        (),
        "toolkit.dataset.images_diffusers",
        IMAGE_MODELS,
        ("diffusers", "transformers", "accelerate", "sentencepiece"),
        gpu_gb=13,
        falls_back=True,
    ),
)
