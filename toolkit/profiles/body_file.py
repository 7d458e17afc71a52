"""A profile whose body comes from a file of another program."""

import copy
from pathlib import Path

from toolkit.photo.body_file.fit import fit_body_file
from toolkit.photo.body_file.layouts import read_body_file
from toolkit.photo.detection.keypoints import Detection
from toolkit.photo.load import Photo
from toolkit.photo.photo_body import PhotoBody
from toolkit.profiles.base import Profile
from toolkit.run.folder import digest
from toolkit.weights.licences import BODY_FILE


def with_body_file(profile: Profile, path: Path) -> Profile:
    """The same profile, with the body of a file in place of its own estimate.

    Args:
        profile: whose other models are kept.
        path: .npz or .json of SAM 3D Body, NLF, CameraHMR, PromptHMR, or SMPL-X parameters.

    Raises:
        MissingFileError: there is no such file.
        InputError: a file that cannot be read.
    """
    people = read_body_file(path)  # refused now rather than after the person has been found
    changed = copy.copy(profile)

    def fit(photo: Photo, person: Detection) -> PhotoBody:
        return fit_body_file(
            path, person, photo.rgb.shape[:2], profile.body_model, focal_px=photo.focal_px
        )

    changed.fit_body = fit
    changed.models = profile.models | {"pose_model": f"{BODY_FILE}{people[0].layout}"}
    about = people[0].notes | {"file": Path(path).name, "people": len(people)}
    changed.notes = getattr(profile, "notes", {}) | {"body_file": about}
    changed.fingerprint = digest(profile.fingerprint, Path(path).read_bytes())
    return changed
