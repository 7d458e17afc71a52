"""How fast the rasteriser is, as ratios to named rivals in the same run."""
