"""Metrics against scikit-image and against values known by hand."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from toolkit.errors import InputError
from toolkit.measure.metrics import masked_psnr, masked_ssim
from toolkit.measure.ssim import _ssim_by_matrices, ssim_map


def pictures(seed=0):
    g = torch.Generator().manual_seed(seed)
    first = torch.rand(2, 40, 30, 3, generator=g)
    return first, (first + 0.1 * torch.randn(first.shape, generator=g)).clamp(0, 1)


def test_ssim_equals_scikit_image_inside_the_border():
    first, second = pictures()
    ours = ssim_map(first, second)
    for view in range(2):
        _, theirs = structural_similarity(
            first[view].double().numpy(),
            second[view].double().numpy(),
            channel_axis=-1,
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )
        inner = (slice(5, -5), slice(5, -5))
        assert np.abs(ours[view].numpy() - theirs.mean(-1))[inner].max() < 1e-4


def test_stride_looks_at_every_second_pixel():
    first, second = pictures()
    assert torch.allclose(
        ssim_map(first, second, stride=2), ssim_map(first, second)[:, ::2, ::2], atol=1e-6
    )


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_the_loops_give_the_values_and_gradients_of_the_matrices(stride):
    first, second = pictures()
    results = []
    for ssim in (ssim_map, lambda a, b, stride: _ssim_by_matrices(a, b, 1.5, stride)):
        x = first[:, :, :27].clone().requires_grad_()
        value = ssim(x, second[:, :, :27], stride=stride)
        (value * torch.linspace(-1, 2, value.numel()).view_as(value)).sum().backward()
        results.append((value.detach(), x.grad))
    (ours, slope), (theirs, wanted) = results
    assert torch.allclose(ours, theirs, atol=5e-6)
    assert torch.allclose(slope, wanted, atol=1e-5) and float(wanted.abs().max()) > 0.1


def test_a_gradient_to_the_second_picture_and_other_types_still_work():
    first, second = pictures()
    second = second.requires_grad_()
    ssim_map(first, second).sum().backward()
    assert float(second.grad.abs().max()) > 0.1
    double = ssim_map(first.double(), second.detach().double())
    assert double.dtype == torch.float64
    assert torch.allclose(double.float(), ssim_map(first, second.detach()), atol=1e-4)


def test_identity_and_known_error():
    first, _ = pictures()
    assert torch.allclose(ssim_map(first, first), torch.ones(2, 40, 30), atol=1e-4)
    assert (masked_psnr(first, first) == 100).all()
    assert torch.allclose(masked_psnr(first, first + 0.1), torch.full((2,), 20.0), atol=1e-4)


def test_mask_hides_errors():
    first, _ = pictures()
    mask = torch.zeros(2, 40, 30, 1)
    mask[:, :20] = 1
    broken = torch.where(mask > 0, first, 1 - first)
    assert (masked_psnr(first, broken, mask) == 100).all()
    assert (masked_psnr(first, broken) < 30).all()
    assert (masked_ssim(first, broken, mask) > masked_ssim(first, broken)).all()
    with pytest.raises(InputError, match="one mask value per pixel"):
        masked_psnr(first, broken, mask[:, :10])
    with pytest.raises(InputError, match="one size"):
        ssim_map(first, first[:, :10])
