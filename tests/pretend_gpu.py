"""A second device on a machine that has none, to find code which forgets to move a tensor there.

`with pretend_gpu():` makes torch's shapes-only device "meta" compute: its tensors hold numbers on
the CPU, and an operation on tensors of two devices fails as it does with a GPU. It says nothing
about CUDA kernels. (A CPU build of torch cannot name its tensors "cuda" and differentiate.)
"""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only

DEVICE = "meta"
# What a GPU also takes from the CPU: the indices of an indexing, the source of a copy.
INDEXING = ("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index")
COPYING = ("copy_", "_to_copy")


class Away(torch.Tensor):
    """Says it is on the other device; its numbers are those of the CPU tensor `inner`."""

    @staticmethod
    def __new__(cls, inner: torch.Tensor):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=DEVICE,
        )

    def __init__(self, inner: torch.Tensor):
        self.inner = inner

    def tolist(self):
        return self.inner.tolist()

    def __getitem__(self, index):
        return super().__getitem__(torch.tensor(index) if isinstance(index, list) else index)

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return compute(func, args, kwargs or {})


class pretend_gpu(TorchDispatchMode):  # noqa: N801  used like a function
    """Within the block the device computes."""

    def __enter__(self):
        self.patch = pytest.MonkeyPatch()
        for name in ("tensor", "as_tensor"):  # these two write into memory that is not there
            self.patch.setattr(torch, name, in_two_steps(getattr(torch, name)))
        # autocast knows no "meta"; its numbers are computed on the CPU
        cast = torch.autocast
        self.patch.setattr(
            torch,
            "autocast",
            lambda kind, *a, **k: cast("cpu" if kind == DEVICE else kind, *a, **k),
        )
        torch.__future__.set_overwrite_module_params_on_conversion(True)  # for `module.to`
        return super().__enter__()

    def __exit__(self, *error):
        self.patch.undo()
        torch.__future__.set_overwrite_module_params_on_conversion(False)
        return super().__exit__(*error)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return compute(func, args, kwargs or {})


def in_two_steps(make):
    """`torch.tensor(..., device=...)` as: make it on the CPU, move it."""

    def made(*args, device=None, **kwargs):
        if device is None and not isinstance(args[0], torch.Tensor):
            device = torch.empty(0).device  # that of a surrounding `with torch.device(...)`
        if device is None:
            return make(*args, **kwargs)
        with torch._C.DisableTorchFunction():  # the surrounding device must not reach `make`
            out = make(*args, **kwargs)
        return out.to(device)

    return made


def compute(func, args, kwargs):
    """One operator on the CPU, with the answer on the device where it belongs."""
    name = func._schema.name.split("::")[1]
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
    if any(x.is_meta and not isinstance(x, Away) for x in tensors):
        raise NotImplementedError(f"{name}: a tensor without numbers; teach pretend_gpu to make it")
    if name in INDEXING:
        tensors = [x for x in tensors if x is args[0] or x.is_floating_point()]
    away = [isinstance(x, Away) for x in tensors]
    if (
        any(away)
        and name not in COPYING
        and any(x.ndim > 0 and not there for x, there in zip(tensors, away, strict=True))
    ):
        raise RuntimeError(f"{name}: tensors on two devices")
    asked = kwargs.get("device")
    goes_away = (
        away[:1] == [True]
        if name == "copy_"
        else any(away)
        if asked is None
        else (torch.device(asked).type == DEVICE)
    )
    inner_args, inner = tree_map_only(Away, lambda x: x.inner, (args, dict(kwargs)))
    if asked is not None:
        inner["device"] = torch.device("cpu")
    out = func(*inner_args, **inner)
    if name == "_to_copy" and any(away) != goes_away:
        out = out.clone()
    if not goes_away:
        return out
    out = tree_map_only(torch.Tensor, Away, out)
    return return_and_correct_aliasing(func, args, kwargs, out) if any(away) else out
