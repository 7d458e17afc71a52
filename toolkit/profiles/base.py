"""The two implementations of every stage, chosen by one word, and the settings of a run.

*embedded*: this repository's own small models; two CPU cores, no licence, no download.
*full*: the paper's models (Multi-HMR, LHM, Wan2.1) on a GPU, with weights the user has fetched;
see `full_profile`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from toolkit.body.anchors import Anchors, sample_anchors
from toolkit.body.model import BodyModel
from toolkit.body.npz import load_body
from toolkit.errors import fail
from toolkit.gaussians import Gaussians
from toolkit.photo.detection.keypoints import Detection
from toolkit.photo.load import Photo
from toolkit.photo.photo_body import PhotoBody
from toolkit.photo.smplify.fit import fit_body
from toolkit.prior.sdedit import SDEditConfig, Velocity
from toolkit.prior.wan.grid import LatentPrior
from toolkit.run.folder import digest


@dataclass(frozen=True)
class Profile:
    """The stages that differ between the profiles, and the settings that suit them.

    Attributes:
        name: "embedded" or "full".
        body_name: of the body model, for labels.
        pose_name: of what finds the body in the photo.
        coarse_name: of the coarse model.
        prior_name: of the video prior.
        body_model: in whose pose and shape space everything happens.
        fit_body: (photo, person) -> body of the photo.
        make_anchors: (number) -> anchors of that many Gaussians.
        predict_coarse: (image, mask, photo_body, anchors) -> Gaussians in the zero pose.
        load_prior: (frames, height, width) -> the video prior, ready for such a clip.
        edit: where the prior does best.
        num_views: of the turntable.
        clip_size: height and width of its pictures in pixels.
        num_gaussians: how many there are if nobody asks for another number.
        any_number: whether another number is possible.
        device: of rendering and refit; the pictures of the report are always drawn on the CPU.
        fingerprint: changes when the weights change, so that a resumed run does not mix them.
    """

    name: str
    body_name: str
    pose_name: str
    coarse_name: str
    prior_name: str
    body_model: BodyModel
    fit_body: Callable[[Photo, Detection], PhotoBody]
    make_anchors: Callable[[int], Anchors]
    predict_coarse: Callable[..., Gaussians]
    load_prior: Callable[[int, int, int], Velocity | LatentPrior]
    edit: SDEditConfig
    num_views: int
    clip_size: tuple[int, int]
    num_gaussians: int
    any_number: bool
    device: str
    fingerprint: str


@dataclass(frozen=True)
class PipelineConfig:
    """What a run depends on besides the photo; None is what suits the profile, see `resolved`.

    Attributes:
        profile: "embedded" (our small models, on a CPU) or "full" (LHM, Wan; a GPU).
        seed: of the orbit, the noise and the fit.
        strength: SDEdit editing strength in [0, 1]; 0 returns the coarse avatar.
        num_views: frames of the turntable, 4k + 1 (a video VAE's grid).
        num_gaussians: anchors on the body, 10k to 80k; LHM brings its own.
        num_inference_steps: length of the full noise schedule.
        max_steps: spend at most so many of its steps; 0 all.
        shift: of the noise schedule; start sigma = shift s / (1 + (shift - 1) s).
        sampler: "ode" (paper) or a stochastic one, see `prior.sdedit.RENOISE`.
        guidance: pull of the clean estimate towards the coarse clip where the photo saw, [0, 1].
        fit_steps: Adam steps of the refit.
        clip_size: height and width of the turntable's pictures, pixels, multiples of 16.
    """

    profile: str = "embedded"
    seed: int = 0
    strength: float | None = None
    num_views: int | None = None
    num_gaussians: int | None = None
    num_inference_steps: int | None = None
    max_steps: int | None = None
    shift: float | None = None
    sampler: str = "ode"
    guidance: float = 0.0
    fit_steps: int = 100
    clip_size: tuple[int, int] | None = None

    def __post_init__(self):
        if self.strength is not None and not 0 <= self.strength <= 1:
            fail("strength", got=self.strength, wanted="0 to 1", fix="Try 0.5.")
        if self.num_views is not None and (self.num_views < 5 or self.num_views % 4 != 1):
            fail(
                "views",
                got=self.num_views,
                wanted="4k + 1 of at least 5 (5, 9, 13, 17, 21, ...)",
                fix="Try 13.",
            )
        if self.num_gaussians is not None and not 10_000 <= self.num_gaussians <= 80_000:
            fail("gaussians", got=self.num_gaussians, wanted="10000 to 80000", fix="Try 20000.")
        if self.clip_size and (
            len(self.clip_size) != 2 or any(side < 16 or side % 16 for side in self.clip_size)
        ):
            fail(
                "size",
                got=self.clip_size,
                wanted="height and width in multiples of 16",
                fix="Try 192x96, or 832x480 for Wan2.1.",
            )

    def resolved(self, profile: Profile) -> "PipelineConfig":
        """The same with what suits the profile in place of every None.

        Raises:
            InputError: a number of Gaussians that the profile's coarse model does not have.
        """
        best, asked = profile.edit, self.num_gaussians
        if asked not in (None, profile.num_gaussians) and not profile.any_number:
            fail(
                "gaussians",
                got=asked,
                fix="Leave the number out.",
                wanted=f"{profile.num_gaussians}, the points of {profile.coarse_name}",
            )
        suits = {
            "strength": best.strength,
            "num_views": profile.num_views,
            "num_gaussians": profile.num_gaussians,
            "shift": best.shift,
            "num_inference_steps": best.num_inference_steps,
            "max_steps": best.max_steps or 0,
            "clip_size": profile.clip_size,
        }
        return replace(
            self, **{name: value for name, value in suits.items() if getattr(self, name) is None}
        )

    def sdedit(self) -> SDEditConfig:
        """The part of a resolved configuration that SDEdit wants."""
        return SDEditConfig(
            strength=self.strength,
            max_steps=self.max_steps or None,
            guidance=self.guidance,
            num_inference_steps=self.num_inference_steps,
            shift=self.shift,
            sampler=self.sampler,
        )


def load_profile(name: str) -> Profile:
    """The stages of a profile.

    Raises:
        InputError: no such profile.
        MissingCapabilityError: this machine cannot run it.
        MissingFileError: weights are missing; says which, and the command that fetches them.
    """
    if name == "embedded":
        return _embedded()
    if name == "full":
        from toolkit.profiles.full import load_full

        return load_full()
    fail("profile", got=repr(name), wanted='"embedded" or "full"', fix="Try embedded.")


def _embedded() -> Profile:
    from toolkit.coarse.small import load_coarse, predict
    from toolkit.photo.smplify.lifter import load_lifter
    from toolkit.prior.samplers import self_ensemble
    from toolkit.prior.turntable.shipped import OPERATING_POINT, load_turntable

    model, prior, body = load_coarse(), load_turntable(), load_body()
    weights = [w for net in (model, prior, load_lifter()) for w in net.state_dict().values()]

    def fit_photo(photo: Photo, person: Detection) -> PhotoBody:
        return fit_body(person, photo.rgb.shape[:2], body, focal_px=photo.focal_px)

    def predict_coarse(
        image: Float[Tensor, "H W 3"],
        mask: Float[Tensor, "H W"],
        photo_body: PhotoBody,
        anchors: Anchors,
    ) -> Gaussians:
        return predict(model, image, mask, photo_body, body, anchors)

    return Profile(
        name="embedded",
        body_name="CC0 body",
        pose_name="keypoints and SMPLify-style fit",
        coarse_name="anchor transformer",
        prior_name="turntable prior",
        body_model=body,
        fit_body=fit_photo,
        make_anchors=lambda num: sample_anchors(body, num),
        predict_coarse=predict_coarse,
        load_prior=lambda *clip: self_ensemble(prior.velocity),
        edit=OPERATING_POINT,
        num_views=13,
        clip_size=(192, 96),
        num_gaussians=20_000,
        any_number=True,
        device="cpu",
        fingerprint=digest(*(w.numpy().tobytes() for w in weights)),
    )
