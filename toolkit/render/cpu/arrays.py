"""From torch tensors to the contiguous numpy arrays that the kernels read."""

import numpy as np
import torch
from torch import Tensor


def to_float32(tensor: Tensor) -> np.ndarray:
    """The values alone, without autograd's history; a copy is made only where it is needed."""
    return tensor.detach().to(torch.float32).contiguous().numpy()


def to_float64(tensor: Tensor) -> np.ndarray:
    """As `to_float32`, for the few values that need more digits: camera matrices."""
    return tensor.detach().to(torch.float64).contiguous().numpy()
