"""How strong should SDEdit be? A sweep of strength, and the rule that picks a setting."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial

from toolkit.errors import fail
from toolkit.evaluate.clip_scores import ClipScorer, summarise, timed
from toolkit.prior.sdedit import SDEditConfig, Velocity, start_sigma

# strength, steps, shift: the paper names the first two; its shift may be 3 or 5
PAPER = ((0.8, 50, 3.0), (0.8, 50, 5.0))
MOST_LOST_DB = 0.5  # of PSNR where the photo saw
RULE = (
    "lowest perceptual distance to the truth on side and back, among settings that lose at "
    f"most {MOST_LOST_DB} dB of PSNR where the photo saw, against the coarse clip"
)


@dataclass(frozen=True)
class Setting:
    """One point of the sweep.

    Attributes:
        prior: "repairer" or "plain".
        edit: how far the clip is noised and how it comes back.
    """

    prior: str
    edit: SDEditConfig

    @property
    def sigma(self) -> float:
        """Noise level of the start. It compares settings of different shift; strength does not."""
        return start_sigma(self.edit.strength, self.edit.num_inference_steps, self.edit.shift)

    @property
    def steps(self) -> int:
        """Evaluations of the prior."""
        full = int(self.edit.num_inference_steps * self.edit.strength)
        return min(full, self.edit.max_steps or full)

    @property
    def name(self) -> str:
        """In words, for a row of a table."""
        how = "" if self.edit.sampler == "ode" else f", {self.edit.sampler}"
        return (
            f"{self.prior}, strength {self.edit.strength:g}, shift {self.edit.shift:g}, "
            f"{self.steps} step{'s' * (self.steps > 1)}{how}"
        )

    def describe(self) -> dict:
        """The setting with its start sigma, for a report."""
        return {
            "prior": self.prior,
            **asdict(self.edit),
            "start_sigma": round(self.sigma, 4),
            "steps": self.steps,
            "paper": (self.edit.strength, self.edit.num_inference_steps, self.edit.shift) in PAPER,
        }


def sweep_settings(
    prior: str,
    strengths: Iterable[float],
    *,
    steps: tuple[int, ...] = (1, 6),
    length: int = 20,
    shift: float = 1.0,
    sampler: str = "ode",
    paper: bool = True,
) -> list[Setting]:
    """Every strength in few and in more steps, and the paper's two points.

    Args:
        prior: "repairer" or "plain".
        strengths: in (0, 1].
        steps: the most evaluations of the prior, each tried with every strength.
        length: of the whole schedule, `num_inference_steps`.
        shift: of the schedule; 1 is a linear one.
        sampler: see `SDEditConfig`.
        paper: whether the paper's points are added.
    """
    settings = [
        Setting(prior, SDEditConfig(round(float(s), 4), length, shift, sampler, max_steps=n))
        for n in steps
        for s in strengths
    ]
    if paper:
        settings += [Setting(prior, SDEditConfig(*point, max_steps=max(steps))) for point in PAPER]
    return settings


def score_settings(
    scorer: ClipScorer,
    priors: dict[str, Velocity],
    settings: list[Setting],
    *,
    tick: Callable[[], object] = lambda: None,
) -> dict[str, dict]:
    """Scores of one person's coarse clip and of every setting, by name.

    Args:
        scorer: of the person.
        priors: velocity of each prior that a setting names.
        settings: points of the sweep.
        tick: called after each clip.
    """
    scores = {"coarse": scorer.score_clip(scorer.bench.turntable.rgb)}
    for s in settings:
        clip, seconds = timed(
            partial(scorer.edit, priors[s.prior], s.edit, repair=s.prior == "repairer")
        )
        scores[s.name] = scorer.score_clip(clip) | {"seconds": seconds}
        tick()
    return scores


def sweep_rows(people: list[dict[str, dict]], settings: list[Setting]) -> dict[str, dict]:
    """Rows of a table, see `summarise`; each setting itself is in its row under `setting`.

    Args:
        people: what `score_settings` returned for each person.
        settings: points of the sweep.
    """
    rows = summarise(
        {name: [scores[name] for scores in people] for name in people[0]}, baseline="coarse"
    )
    for setting in settings:
        rows[setting.name]["setting"] = setting.describe()
    return rows


def choose_setting(rows: dict[str, dict], *, most_lost_db: float = MOST_LOST_DB) -> str:
    """The name of the row that `RULE` picks; "coarse" if no setting is admissible and better.

    Args:
        rows: what `sweep_rows` returned.
        most_lost_db: of PSNR where the photo saw, against the coarse clip.
    """
    if "coarse" not in rows:
        fail("sweep", got=sorted(rows), wanted='a row "coarse"', fix="Use `sweep_rows`.")
    floor = rows["coarse"]["seen_psnr"]["mean"] - most_lost_db
    allowed = [n for n, row in rows.items() if n == "coarse" or row["seen_psnr"]["mean"] >= floor]
    return min(allowed, key=lambda name: rows[name]["perceptual"]["mean"])
