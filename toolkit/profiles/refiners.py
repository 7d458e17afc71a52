"""The refiners of the embedded profile: priors for the one SDEdit loop, each with its settings."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from toolkit.errors import fail
from toolkit.prior.prior import PixelPrior, Prior
from toolkit.prior.samplers import self_ensemble
from toolkit.prior.sdedit import SDEditConfig
from toolkit.prior.turntable.shipped import (
    OPERATING_POINT,
    PAPER_POINT,
    load_turntable,
    plain_velocity,
)
from toolkit.profiles.base import Profile
from toolkit.profiles.choose import with_prior


@dataclass(frozen=True)
class Refiner:
    """A video prior and the settings of SDEdit that suit it.

    Attributes:
        words: what it is, for the report.
        load: makes the prior.
        edit: settings chosen on validation people.
    """

    words: str
    load: Callable[[], Prior]
    edit: SDEditConfig


REFINERS = {
    "repairer": Refiner(
        "one step of a network that sees the coarse clip (no SDEdit: it starts from pure noise)",
        lambda: PixelPrior(self_ensemble(load_turntable("repairer").velocity)),
        OPERATING_POINT,
    ),
    "plain": Refiner(
        "SDEdit in pixels, a prior that sees the front picture only (the paper's setting)",
        lambda: PixelPrior(plain_velocity(load_turntable("plain"))),
        PAPER_POINT,
    ),
}


def with_refiner(profile: Profile, name: str) -> Profile:
    """The same profile with another of our refiners, and with the settings that suit it.

    Raises:
        InputError: no such refiner, or another profile than the embedded one: ours are trained on
            small clips.
    """
    if name not in REFINERS:
        fail(
            "refiner",
            got=repr(name),
            wanted=f"one of {', '.join(REFINERS)}",
            fix="Leave it out for the profile's own.",
        )
    if profile.name != "embedded":
        fail(
            f"refiner {name} with profile {profile.name}",
            got="a profile with a video prior of its own",
            wanted="the embedded profile",
            fix="Leave --refiner out.",
        )
    refiner = REFINERS[name]
    changed = with_prior(profile, refiner.load(), f"{name}: {refiner.words}")
    changed.defaults = replace(profile.defaults, edit=refiner.edit)
    return changed
