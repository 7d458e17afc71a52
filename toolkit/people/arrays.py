"""Short names for the arrays that cutting, painting and lighting pass around.

N counts vertices or visible samples. Lengths are metres, colours sRGB in [0, 1].
"""

import numpy as np
from jaxtyping import Bool, Float, Int

Points = Float[np.ndarray, "N 3"]  # positions or directions
Values = Float[np.ndarray, " N"]  # one number per vertex or sample
Mask = Bool[np.ndarray, " N"]
Color = Float[np.ndarray, "3"]
Colors = Float[np.ndarray, "N 3"]
Faces = Int[np.ndarray, "F 3"]  # three vertex indices per triangle
Mesh = tuple[Points, Faces]
Painted = tuple[Colors, Points]  # albedo, and the gradient of the surface's height
Cut = dict[str, float | int | str | bool]  # the measures of one garment, see dress/clothes.py
