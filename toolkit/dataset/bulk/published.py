"""What the full profile costs per person, from published figures; we have measured none of these.

Each is the time of one GPU of the kind named, and how the figure is turned into ours.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A published speed.

    Attributes:
        stage: of `people.PeopleRecipe`.
        model: what runs.
        seconds: of one GPU, per person.
        gpu: that it was measured on.
        source: where it is published, and what we made of it.
    """

    stage: str
    model: str
    seconds: float
    gpu: str
    source: str


PUBLISHED = (
    Published(
        "prompt",
        "Llama 3.3 70B",
        1.2,
        "unit of Oracle's cloud, counted as 8 GPUs",
        "Oracle, benchmarks of dedicated clusters: 6.58 answers of about 300 tokens per second at "
        "64 at a time; it does not say how many GPUs a unit has",
    ),
    Published(
        "picture",
        "FLUX.1-dev, 50 steps",
        30.0,
        "modern GPU",
        "Pruna AI 2025: a single high-resolution picture takes up to 30 s",
    ),
    Published(
        "coarse",
        "LHM",
        5.0,
        "not said",
        "Qiu et al. 2025 (arXiv 2503.10625): in seconds, counted as 5",
    ),
    Published(
        "refined",
        "Wan2.1 T2V 1.3B",
        64.0,
        "RTX 4090",
        "README of Wan2.1: about 4 minutes for 81 frames at 480p and 50 steps; ours has 25 frames, "
        "7 latent ones of 21, and SDEdit at strength 0.8 runs 40 steps; without the refit",
    ),
)
NOT_PUBLISHED = ("body", "gates", "pack")  # no figure found; they are small beside the others
