"""The two priors that ship with the repository, and the settings with which each does best."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from toolkit.errors import fail
from toolkit.prior.sdedit import SDEditConfig, Velocity
from toolkit.prior.turntable.model import MADE_BY, TurntablePrior
from toolkit.run.files import model_path

# Settings chosen on validation people, side and back. The repairer does best in one step from pure
# noise; the paper's strength is meant for the plain prior.
PAPER_POINT = SDEditConfig(strength=0.8, num_inference_steps=20, shift=3.0)  # for the plain prior
OPERATING_POINT = SDEditConfig(strength=1.0, num_inference_steps=20, shift=1.0, max_steps=1)

FILES = {"repairer": "turntable.safetensors", "plain": "turntable_plain.safetensors"}


@lru_cache(maxsize=4)
def load_turntable(kind: str = "repairer", path: str | Path | None = None) -> TurntablePrior:
    """A prior that ships with the repository, or the one at `path`.

    Args:
        kind: "repairer" (wants the coarse clip) or "plain" (for conditions without one).
    """
    if kind not in FILES:
        fail(
            "kind of turntable prior",
            got=repr(kind),
            wanted=f"one of {sorted(FILES)}",
            fix="The pipeline runs the repairer.",
        )
    return TurntablePrior.load(path or model_path(FILES[kind], made_by=MADE_BY))


def plain_velocity(prior: TurntablePrior) -> Velocity:
    """The prior blind to the coarse clip, whatever the condition holds: the paper's setting."""
    return lambda x, sigma, condition: prior.velocity(
        x, sigma, replace(condition, coarse=None, seen=None, carried=None)
    )
