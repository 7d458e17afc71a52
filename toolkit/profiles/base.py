"""What a profile is (the models behind the stages), and the settings of a run.

*embedded*: this repository's own small models; two CPU cores, no licence, no download.
*full*: the paper's models (Multi-HMR, LHM, Wan2.1) on a GPU, with weights the user has fetched.
"""

from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

from toolkit.body.anchors import Anchors
from toolkit.body.model import BodyModel
from toolkit.errors import fail
from toolkit.gaussians import Gaussians
from toolkit.photo.detection.choice import Choice
from toolkit.photo.detection.keypoints import Detection
from toolkit.photo.load import Photo
from toolkit.photo.photo_body import PhotoBody
from toolkit.prior.prior import Prior
from toolkit.prior.sdedit import SDEditConfig
from toolkit.refine.refit import FitConfig
from toolkit.run.options import check_clip_size, check_num_gaussians, check_seed, check_views


@dataclass(frozen=True)
class Defaults:
    """The settings that suit a profile's models.

    Attributes:
        edit: of SDEdit, where the prior does best.
        num_views: of the turntable.
        clip_size: height and width of its pictures in pixels.
        num_gaussians: one per anchor.
        any_number: whether another number of Gaussians is possible.
    """

    edit: SDEditConfig
    num_views: int
    clip_size: tuple[int, int]
    num_gaussians: int
    any_number: bool = True


@runtime_checkable
class Profile(Protocol):
    """The models behind the stages of a run.

    To try a model of your own, subclass one of the two profiles; to try a video prior of your own,
    use `profiles.choose.with_prior`.

    Attributes:
        name: "embedded", "full" or the name of your own.
        models: for the report: `body_model`, `pose_model`, `coarse_model`, `video_prior` -> name.
        body_model: in whose pose and shape space everything happens.
        defaults: settings that suit the models.
        device: of rendering and refit; the pictures of the report are always drawn on the CPU.
        fingerprint: changes when the weights change, so that a resumed run does not mix them.

    A profile may also have `notes`, a dict of further lines for the report, and `check_clip(frames,
    height, width)`, which refuses a clip before anything is computed.
    """

    name: str
    models: dict[str, str]
    body_model: BodyModel
    defaults: Defaults
    device: str
    fingerprint: str

    def fit_body(self, photo: Photo, person: Detection) -> PhotoBody:
        """Betas, pose and camera of the person in the photo."""

    def make_anchors(self, num: int) -> Anchors:
        """The points on the body that carry the Gaussians, one each."""

    def predict_coarse(self, photo: Photo, body: PhotoBody, anchors: Anchors) -> Gaussians:
        """One Gaussian per anchor, in the zero pose."""

    def load_prior(self, frames: int, height: int, width: int) -> Prior:
        """The video prior, ready for a clip of that size."""


@dataclass(frozen=True)
class PipelineConfig:
    """What a run depends on besides the photo. None means: the profile's default.

    Attributes:
        profile: "embedded" (our small models, on a CPU) or "full" (LHM, Wan; a GPU).
        seed: of the orbit, the noise and the refit.
        num_views: frames of the turntable, 4k + 1: a video VAE packs the first frame alone and
            then four at a time.
        clip_size: height and width of the turntable's pictures, pixels, multiples of 16.
        num_gaussians: anchors on the body, 10k to 80k; LHM brings its own.
        edit: of SDEdit.
        fit: of the refit.
        person: who is meant, where the photo shows several people.
    """

    profile: str = "embedded"
    seed: int = 0
    num_views: int | None = None
    clip_size: tuple[int, int] | None = None
    num_gaussians: int | None = None
    edit: SDEditConfig | None = None
    fit: FitConfig = field(default_factory=FitConfig)
    person: Choice = field(default_factory=Choice)

    def __post_init__(self):
        check_seed(self.seed)
        _check_kind("num_views", self.num_views, int)
        _check_kind("num_gaussians", self.num_gaussians, int)
        _check_kind("clip_size", self.clip_size, tuple)
        _check_kind("edit", self.edit, SDEditConfig)
        if not isinstance(self.fit, FitConfig):
            fail("fit", got=repr(self.fit), wanted="a FitConfig", fix="Try FitConfig().")
        check_views(self.num_views)
        check_num_gaussians(self.num_gaussians)
        check_clip_size(self.clip_size)

    def resolved(self, profile: Profile) -> "PipelineConfig":
        """The same settings with the profile's defaults in place of every None.

        Raises:
            InputError: a number of Gaussians that the profile's coarse model does not have.
            MissingCapabilityError: a clip that is too large for the GPU.
        """
        # A released LHM comes with its own query points, so their number is fixed
        defaults = profile.defaults
        if self.num_gaussians not in (None, defaults.num_gaussians) and not defaults.any_number:
            fail(
                "gaussians",
                got=self.num_gaussians,
                wanted=f"{defaults.num_gaussians}, the points of {profile.models['coarse_model']}",
                fix="Leave the number out.",
            )
        open_settings = ("num_views", "clip_size", "num_gaussians", "edit")
        settled = replace(
            self,
            **{
                name: getattr(defaults, name)
                for name in open_settings
                if getattr(self, name) is None
            },
        )
        if check := getattr(profile, "check_clip", None):
            check(settled.num_views, *settled.clip_size)
        return settled


def _check_kind(name: str, value: object, kind: type) -> None:
    if value is not None and not isinstance(value, kind):
        fail(
            name,
            got=f"{value!r}, a {type(value).__name__}",
            wanted=f"a {kind.__name__}, or None",
            fix="None takes the profile's default.",
        )
