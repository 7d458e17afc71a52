"""Bake files in data/ from public packages."""
