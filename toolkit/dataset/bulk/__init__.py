"""Bulk: a data set of people from records, on one machine or on a cluster."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "config": ["BulkConfig", "Gates", "read_config"],
        "folder": ["SetFolder"],
        "manifest": ["Manifest"],
        "people": ["PeopleRecipe"],
        "quantise": ["decode", "encode"],
        "recipe": ["Packed", "Recipe", "Rejected", "Stage", "Task"],
    },
)
