"""Our small latent prior: an autoencoder of turntable frames, and a flow model in its space."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "autoencoder": ["AutoencoderConfig", "FrameAutoencoder"],
        "model": ["FlowNet", "LatentCondition", "LatentConfig", "LatentPrior", "load_flow"],
        "shipped": ["LATENT_POINT", "POSTERIOR_POINT", "load_latent"],
    },
)
