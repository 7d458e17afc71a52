"""Wan2.1, the paper's video prior: its latents, its checkpoints, its memory."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "advice": ["ADVICE", "Advice", "advice_for"],
        "config": ["OPERATING_POINT", "WanCondition", "WanConfig"],
        "fake_tensors": ["meta_models", "peak_bytes"],
        "files": ["check_wan", "find_wan"],
        "grid": ["GridCodec", "LatentGrid", "latent_shape"],
        "memory": [
            "DECODE_BYTES_PER_PIXEL",
            "PRESETS_GB",
            "activation_bytes",
            "choose_plan",
            "gpu_memory_gb",
        ],
        "model": ["WanPrior"],
        "published": ["MODELS"],
        "tiny": ["write_tiny_wan"],
    },
)
