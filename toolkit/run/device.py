"""The one place that reads the name of a device: every model of the full profile asks here."""

import os
import re

import torch

from toolkit.errors import MissingCapabilityError, fail

VARIABLE = "TOOLKIT_DEVICE"


def wanted_device() -> str:
    """What `TOOLKIT_DEVICE` says, or "cuda"; nothing about it is checked."""
    return os.environ.get(VARIABLE) or "cuda"


def check_device(
    name: str, *, what: str = "device", fix: str = 'Use "cpu", or another machine.'
) -> torch.device:
    """The device of this name, which exists.

    Args:
        name: "cpu", "cuda" or "cuda:N".
        what: who wants the device; begins the message.
        fix: what to do where torch can use no GPU.

    Raises:
        InputError: another kind of device.
        MissingCapabilityError: no CUDA GPU, or not so many of them.
    """
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        fail(what, got=f"device {name!r}", wanted='"cuda", "cuda:N" or "cpu"', fix="Try cuda.")
    device = torch.device(name)
    if device.type == "cpu":
        return device
    if not torch.cuda.is_available():
        fail(
            what,
            got="no CUDA GPU that torch can use",
            wanted="a CUDA GPU",
            fix=f"{fix} `python -m toolkit doctor --profile full` says why.",
            kind=MissingCapabilityError,
        )
    if (device.index or 0) >= torch.cuda.device_count():
        fail(
            what,
            got=f"device {name!r} of {torch.cuda.device_count()} GPUs",
            wanted="one that exists; the first is cuda:0",
            fix="Check CUDA_VISIBLE_DEVICES.",
            kind=MissingCapabilityError,
        )
    return device
