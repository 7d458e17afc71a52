"""The thresholds of Gaussian splatting. All values are gsplat 1.5.3's, so that pictures agree.

Each rule drops work that could not be seen. A kernel that is compiled into numba's disk cache keeps
the values it was compiled with: after an edit here, delete `toolkit/render/cpu/__pycache__`.
"""

import numpy as np

# A Gaussian changes a pixel only if its alpha there is at least 1/255, one step of an 8-bit image.
# Without this rule every Gaussian would touch every pixel, since exp(-x) never becomes zero.
ALPHA_MIN = 1.0 / 255.0

# Alpha never reaches 1: the backward pass divides by 1 - alpha, the light that a Gaussian lets by.
ALPHA_MAX = np.float32(0.999)

# A pixel is full when its transmittance T would fall to this value; what lies behind stays unseen.
T_STOP = np.float32(1e-4)

# A Gaussian ends where its alpha falls below ALPHA_MIN. For opacity 1 this is at 3.33 standard
# deviations, because exp(-3.33^2 / 2) is just below 1/255; fainter Gaussians end earlier.
EXTENT = 3.33

# Pixels. A Gaussian very near the camera can be larger than an int32 holds.
MAX_RADIUS = 1e6
