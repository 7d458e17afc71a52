"""What each stage needs in either profile: shipped files, packages, weights, a GPU."""

from dataclasses import dataclass

READY, MISSING, FALLBACK = "ready", "missing", "falls back to embedded"  # states in the report


@dataclass(frozen=True)
class Requirement:
    """What one stage needs in each profile.

    Which weights it uses is decided by `weights.sets.pick`, and how much memory they need is
    computed by `profiles.memory`, both by the stage's name.

    Attributes:
        name: of the stage.
        embedded: files of `data/models` that the embedded profile reads.
        module: dotted name of the full profile's implementation.
        also: weights of other stages that this one needs, too.
        packages: that the full implementation imports.
        on_gpu: the full implementation wants a GPU.
        falls_back: the full profile may use the embedded implementation of this stage instead.
    """

    name: str
    embedded: tuple[str, ...]
    module: str
    also: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    on_gpu: bool = False
    falls_back: bool = False


POSE_FILES = (
    "pose_detection.tflite",
    "pose_landmark_full.tflite",
    "selfie_segmentation.tflite",
    "lift.safetensors",
)
LIBRARIES = ("diffusers", "transformers", "accelerate")

REQUIREMENTS = (
    Requirement("body", ("body.npz", "rest_space.npz", "motions.npz"), "toolkit.body.npz"),
    # Multi-HMR predicts the parameters of SMPL-X, so it needs that body model as well.
    Requirement("pose", POSE_FILES, "toolkit.photo.multihmr.model", also=("smplx",), on_gpu=True),
    Requirement("coarse", ("coarse.safetensors",), "toolkit.coarse.lhm.network", on_gpu=True),
    Requirement(
        "prior",
        ("turntable.safetensors", "turntable_plain.safetensors"),
        "toolkit.prior.wan.model",
        packages=LIBRARIES,
        on_gpu=True,
    ),
    Requirement(
        "rasteriser",
        (),
        "toolkit.render.gsplat_kernels",
        packages=("gsplat",),
        on_gpu=True,
        falls_back=True,
    ),
    Requirement(
        "prompts",
        (),
        "toolkit.dataset.prompts_chat",
        packages=("transformers", "accelerate"),
        falls_back=True,
    ),
    Requirement(
        "images",
        (),
        "toolkit.dataset.images_diffusers",
        packages=(*LIBRARIES, "sentencepiece"),
        on_gpu=True,
        falls_back=True,
    ),
)
