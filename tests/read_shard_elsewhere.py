"""A stranger's script: draws the people of a shard as point clouds, with webdataset and numpy only.

python tests/read_shard_elsewhere.py SHARD OUT.npy
"""

import io
import sys

import numpy as np
import webdataset

pictures = []
for sample in webdataset.WebDataset(sys.argv[1], shardshuffle=False):
    z = np.load(io.BytesIO(sample["gaussians.npz"]))
    whole = {n: np.cumsum(z[f"coarse_{n}"], axis=1, dtype=int) for n in ("means", "colors")}
    x, y, depth = (whole["means"] + z["change_means"]) * z["step_means"]  # metres, refined
    colors = ((whole["colors"] + z["change_colors"]) * z["step_colors"]).clip(0, 1)
    column = np.rint(128 + 120 * x).astype(int).clip(0, 255)
    row = np.rint(128 - 120 * (y - y.mean())).astype(int).clip(0, 255)
    picture = np.ones((256, 256, 3))
    order = np.argsort(depth)  # the nearest last: the person faces +z
    picture[row[order], column[order]] = colors.T[order]
    pictures.append(picture)
np.save(sys.argv[2], np.stack(pictures))
assert not any(name.startswith("toolkit") for name in sys.modules)
