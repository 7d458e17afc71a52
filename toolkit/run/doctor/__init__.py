"""What this machine can run, as data and as text; nothing is downloaded, no connection opened."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "diagnosis": ["examine", "exit_code"],
        "requirements": ["REQUIREMENTS", "Requirement"],
        "text": ["as_text"],
    },
)
