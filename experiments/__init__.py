"""Measurements: one module per group of tables in docs/results.md; see `document`."""
