"""Weights that do not ship with us: one table, where each is looked for, how to get it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "commands": ["fetch_command", "weights_dir"],
        "licences": ["licences_of"],
        "search": ["Located", "hub_cache", "locate", "require"],
        "sets": ["SETS", "choose", "fingerprint", "is_stand_in", "label", "pick"],
        "table": ["WEIGHTS"],
        "weight": ["Weight"],
    },
)
