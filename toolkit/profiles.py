"""The two implementations of every stage, chosen by one word.

*embedded*: this repository's own small models; two CPU cores, no licence, no download.
*full*: the paper's models (LHM, Wan2.1) on a GPU, with weights the user has fetched.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.errors import MissingCapabilityError, fail
from toolkit.gaussians import Gaussians
from toolkit.prior.sdedit import Velocity
from toolkit.runfolder import digest


@dataclass(frozen=True)
class Profile:
    """The stages that differ between the profiles.

    Attributes:
        name: "embedded" or "full".
        coarse_name: of the coarse model, for labels.
        prior_name: of the video prior, for labels.
        predict_coarse: (image, mask, photo_body, body, anchors) -> Gaussians in the zero pose.
        velocity: of the video prior, `velocity(x, sigma, condition)`.
        fingerprint: changes when the weights change, so that a resumed run does not mix them.
    """

    name: str
    coarse_name: str
    prior_name: str
    predict_coarse: Callable[..., Gaussians]
    velocity: Velocity
    fingerprint: str


def load_profile(name: str) -> Profile:
    """The stages of a profile, with their weights loaded.

    Raises:
        InputError: no such profile.
        MissingCapabilityError: this machine cannot run it.
        MissingFileError: weights are missing.
    """
    if name == "embedded":
        return _embedded()
    if name != "full":
        fail("profile", got=repr(name), wanted='"embedded" or "full"', fix="Try embedded.")
    missing = "no CUDA GPU" if not torch.cuda.is_available() else "no full-profile stages"
    fail('profile "full"', got=missing, wanted="a CUDA GPU and the weights of LHM and Wan2.1",
         fix="Use --profile embedded.", kind=MissingCapabilityError)


def _embedded() -> Profile:
    from toolkit.coarse.small import load_coarse, predict
    from toolkit.prior.turntable import load_turntable

    model, prior = load_coarse(), load_turntable()
    weights = [*model.state_dict().values(), *prior.state_dict().values()]
    fingerprint = digest(*(w.numpy().tobytes() for w in weights))

    def predict_coarse(image: Float[Tensor, "H W 3"], mask: Float[Tensor, "H W"],
                       photo_body, body, anchors) -> Gaussians:
        return predict(model, image, mask, photo_body, body, anchors)

    return Profile("embedded", "anchor transformer", "turntable prior", predict_coarse,
                   prior.velocity, fingerprint)
