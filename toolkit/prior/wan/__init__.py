"""Wan2.1, the paper's video prior: its latents, its checkpoints, its memory."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "config": ["OPERATING_POINT", "WanCondition", "WanConfig"],
        "files": ["check_wan", "find_wan"],
        "grid": ["GridCodec", "LatentGrid", "latent_shape"],
        "memory": ["choose_plan", "gpu_memory_gb"],
        "model": ["WanPrior"],
        "tiny": ["write_tiny_wan"],
    },
)
