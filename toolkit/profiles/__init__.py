"""What "embedded" and "full" mean: the models behind the stages, and a run's settings."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "base": ["Defaults", "PipelineConfig", "Profile"],
        "choose": ["load_profile", "with_prior"],
        "embedded": ["EmbeddedProfile"],
        "evidence": ["FullRun", "check_full_run"],
        "full": ["FullProfile", "find_device"],
    },
)
