"""The embedded profile: the small models that ship with the repository, on two CPU cores."""

import torch

from toolkit.body.anchors import Anchors, sample_anchors
from toolkit.body.npz import load_body
from toolkit.coarse.from_photo import load_coarse, predict
from toolkit.gaussians import Gaussians
from toolkit.photo.detection.keypoints import Detection
from toolkit.photo.load import Photo
from toolkit.photo.photo_body import PhotoBody
from toolkit.photo.smplify.fit import fit_body
from toolkit.photo.smplify.lifter import load_lifter
from toolkit.prior.prior import PixelPrior, Prior
from toolkit.prior.samplers import self_ensemble
from toolkit.prior.turntable.shipped import OPERATING_POINT, load_turntable
from toolkit.profiles.base import Defaults
from toolkit.run.folder import digest


class EmbeddedProfile:
    """SMPLify on keypoints, the anchor transformer, the turntable prior; see `profiles.base`."""

    name = "embedded"
    models = {
        "body_model": "CC0 body",
        "pose_model": "keypoints and SMPLify-style fit",
        "coarse_model": "anchor transformer",
        "video_prior": "turntable prior",
    }
    defaults = Defaults(
        edit=OPERATING_POINT, num_views=13, clip_size=(192, 96), num_gaussians=20_000
    )
    device = "cpu"

    def __init__(self):
        self.body_model = load_body()
        self.coarse, self.turntable = load_coarse(), load_turntable()
        # Runs are told apart by the weights themselves, not by file names: a model that is trained
        # again under the same name must not be mixed into a resumed run.
        nets = (self.coarse, self.turntable, load_lifter())
        weights = [w for net in nets for w in net.state_dict().values()]
        self.fingerprint = digest(*(w.numpy().tobytes() for w in weights))

    def fit_body(self, photo: Photo, person: Detection) -> PhotoBody:
        """Keypoints and mask, then an SMPLify-style fit."""
        return fit_body(person, photo.rgb.shape[:2], self.body_model, focal_px=photo.focal_px)

    def make_anchors(self, num: int) -> Anchors:
        """Points spread evenly over the body; the same number gives the same points."""
        return sample_anchors(self.body_model, num)

    def predict_coarse(self, photo: Photo, body: PhotoBody, anchors: Anchors) -> Gaussians:
        """One pass of the anchor transformer."""
        image, mask = torch.from_numpy(photo.rgb), torch.as_tensor(body.mask)
        return predict(self.coarse, image, mask, body, self.body_model, anchors)

    def load_prior(self, frames: int, height: int, width: int) -> Prior:
        """The repairer, averaged over the clip and its mirror image: two evaluations per step."""
        return PixelPrior(self_ensemble(self.turntable.velocity))
