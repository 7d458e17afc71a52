"""Keep notebooks, pictures and generated pages up to date."""
