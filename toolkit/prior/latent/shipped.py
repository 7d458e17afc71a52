"""The latent prior that ships with the repository, and the settings with which it does best."""

from functools import lru_cache
from pathlib import Path

from toolkit.prior.latent.autoencoder import MADE_BY as AUTOENCODER_BY
from toolkit.prior.latent.autoencoder import FrameAutoencoder
from toolkit.prior.latent.model import MADE_BY as FLOW_BY
from toolkit.prior.latent.model import LatentPrior, load_flow
from toolkit.prior.sdedit import SDEditConfig
from toolkit.run.files import model_path

# Chosen on validation people, see "How much noise" in docs/results.md.
LATENT_POINT = SDEditConfig(strength=0.6, num_inference_steps=20, shift=1.0)
POSTERIOR_POINT = SDEditConfig(strength=0.8, num_inference_steps=20, shift=1.0)


@lru_cache(maxsize=4)
def load_latent(
    *, posterior: bool = False, autoencoder: Path | None = None, flow: Path | None = None
) -> LatentPrior:
    """The latent prior.

    Args:
        posterior: show the flow model the coarse clip at every step, not only as the start.
        autoencoder, flow: weights; else those that ship.
    """
    return LatentPrior(
        FrameAutoencoder.load(
            autoencoder or model_path("autoencoder.safetensors", made_by=AUTOENCODER_BY)
        ),
        load_flow(flow or model_path("flow.safetensors", made_by=FLOW_BY)),
        posterior=posterior,
    )
