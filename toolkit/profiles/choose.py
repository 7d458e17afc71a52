"""From a profile's name to its models."""

from toolkit.errors import fail
from toolkit.profiles.base import Profile


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
