"""Programs that make what ships and keep the repository up to date; all run with `python -m`."""
