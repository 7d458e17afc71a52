"""From a profile's name to its models."""

import copy

from toolkit.errors import fail
from toolkit.prior.prior import Prior
from toolkit.profiles.base import Profile
from toolkit.run.folder import digest


def load_profile(name: str) -> Profile:
    """The models of a profile.

    Raises:
        InputError: no such profile.
        MissingCapabilityError: this machine cannot run it.
        MissingFileError: weights are missing; says which, and the command that fetches them.
    """
    if name == "embedded":
        from toolkit.profiles.embedded import EmbeddedProfile

        return EmbeddedProfile()
    if name == "full":
        from toolkit.profiles.full import load_full

        return load_full()
    fail("profile", got=repr(name), wanted='"embedded" or "full"', fix="Try embedded.")


def with_prior(profile: Profile, prior: Prior, name: str) -> Profile:
    """The same profile with another video prior.

    Note that the embedded profile's own settings start SDEdit from pure noise, which suits the
    repairer only: give a `PipelineConfig` with an `edit` that suits your prior.

    Args:
        profile: whose other models are kept.
        prior: takes the place of the profile's own.
        name: for the report; also tells runs apart, so that `resume` does not mix two priors.
    """
    changed = copy.copy(profile)
    changed.load_prior = lambda frames, height, width: prior
    changed.models = profile.models | {"video_prior": name}
    notes = getattr(profile, "notes", {})
    changed.notes = {key: note for key, note in notes.items() if key != "video_prior_settings"}
    changed.fingerprint = digest(profile.fingerprint, name)
    return changed
