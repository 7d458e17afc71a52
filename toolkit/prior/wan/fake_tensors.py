"""The real model classes without their memory: count weights and activations at published size.

Tensors on torch's meta device, and torch's fake tensors, have a shape and a dtype but no data.
"""

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from toolkit.prior.wan.published import UMT5_XXL


def meta_models(transformer: Mapping, *, layers: int | None = None) -> dict[str, nn.Module]:
    """Transformer, VAE and text encoder on the meta device: no memory is taken, nothing is loaded.

    Args:
        transformer: a configuration of `published.MODELS`.
        layers: number of transformer blocks, if fewer than published.
    """
    from diffusers import AutoencoderKLWan, WanTransformer3DModel
    from transformers import UMT5Config, UMT5EncoderModel

    config = dict(transformer) | ({"num_layers": layers} if layers else {})
    with torch.device("meta"):
        return {
            "transformer": WanTransformer3DModel(**config).eval(),
            "VAE": AutoencoderKLWan().eval(),
            "text encoder": UMT5EncoderModel(UMT5Config(**UMT5_XXL)).eval(),
        }


def peak_bytes(
    make: Callable[[], nn.Module],
    call: Callable[[nn.Module], Any],
    dtype: torch.dtype = torch.float32,
) -> int:
    """Most bytes of activations alive at once while `call(make())` runs, on fake tensors.

    It costs neither memory nor arithmetic, so it also works at the real size. What the kernels
    allocate for themselves is not seen.

    Args:
        make: builds the model.
        call: runs it on inputs that it makes itself.
        dtype: of the model's weights.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    before = torch.get_default_dtype()
    with FakeTensorMode(), torch.no_grad():
        try:
            torch.set_default_dtype(dtype)
            model = make().eval()
        finally:
            torch.set_default_dtype(before)
        with _AllocationLedger(model) as ledger:
            call(model)
    return ledger.peak


class _AllocationLedger(TorchDispatchMode):
    """Adds up the storages that operators allocate, and subtracts those that are freed.

    Storages are counted, not tensors, because a view shares the storage of its tensor.
    """

    def __init__(self, known: nn.Module):
        super().__init__()
        self.live = self.peak = 0
        weights = [*known.parameters(), *known.buffers()]
        self.sizes = {t.untyped_storage()._cdata: 0 for t in weights}  # count as nothing

    def __torch_dispatch__(
        self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        """Run one operator, then book the storages of its results."""
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in self.sizes:
                    self.sizes[storage._cdata] = storage.nbytes()
                    self.live += storage.nbytes()
                    self.peak = max(self.peak, self.live)
                    weakref.finalize(storage, self._free, storage._cdata)
        return out

    def _free(self, key: int) -> None:
        self.live -= self.sizes.pop(key)
