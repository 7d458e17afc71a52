"""Generative refinement of a single photo into an animatable 3D human."""

__version__ = "0.1.0"
