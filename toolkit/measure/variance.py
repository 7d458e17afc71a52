"""How much of the coarse model's error could a better regressor remove? Bias against variance.

One photo leaves the back of a person open: many true backs t fit it. Averaged over them, the
squared error of one prediction b splits exactly:

    mean |b - t|^2  =  |b - m|^2  +  mean |m - t|^2,        m = mean of t
    total              bias          variance

The bias is an error of the model, and better training could remove it. The variance is not: no
function of the photo has a smaller error than m, which is a blurred mean. A perfect generator draws
one sharp t instead; its error is twice the variance, so its PSNR is 3 dB below that of m.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from toolkit.errors import fail


@dataclass(frozen=True)
class ErrorSplit:
    """Mean squared errors per pixel and channel, one value per view.

    Attributes:
        bias: squared distance from the prediction to the mean of the truths.
        variance: mean squared distance from a truth to their mean.
        num: number of truths.
    """

    bias: Float[Tensor, " C"]
    variance: Float[Tensor, " C"]
    num: int

    @property
    def total(self) -> Float[Tensor, " C"]:
        """Squared error of the prediction, on average over the truths."""
        return self.bias + self.variance

    @property
    def irreducible(self) -> float:
        """Share of the error that no function of the photo can remove, over all views."""
        return float(self.variance.sum() / self.total.sum().clamp_min(1e-12))

    @property
    def ceiling_db(self) -> float:
        """PSNR that the best regressor would gain, dB: no bias, only the variance is left."""
        return _decibel(self.total.sum() / self.variance.sum().clamp_min(1e-12))

    @property
    def sampler_db(self) -> float:
        """PSNR that a perfect generator, which draws one of the truths, would gain (or lose), dB.

        Source: Blau & Michaeli 2018: perfect perception at up to twice the least squared error.
        """
        return _decibel(self.total.sum() / (2 * self.variance.sum()).clamp_min(1e-12))


def _decibel(ratio: Tensor) -> float:
    return float(10 * ratio.clamp_min(1e-12).log10())


def split_error(
    prediction: Float[Tensor, "C H W D"],
    truths: Float[Tensor, "M C H W D"],
    mask: Float[Tensor, "C H W"],
) -> ErrorSplit:
    """Estimate bias and variance of a prediction's error from M truths.

    The mean of M truths is itself off by variance / M on average. Both estimates are corrected for
    that, so the bias can come out slightly negative; `total` is exactly the mean error over the M
    truths.

    Args:
        prediction: C views in [0, 1].
        truths: the same views of M people who all agree with the photo that the model saw.
        mask: weight of each pixel.

    Raises:
        InputError: shapes that do not belong together, or fewer than two truths.
    """
    if len(truths) < 2 or truths.shape[1:] != prediction.shape or mask.shape != truths.shape[1:4]:
        fail(
            "split_error",
            got=f"{tuple(prediction.shape)}, {tuple(truths.shape)}, mask {tuple(mask.shape)}",
            wanted="(C,H,W,D), (M,C,H,W,D) with M >= 2 and (C,H,W)",
            fix="Stack at least two truths of the same views.",
        )

    def average(squares: Float[Tensor, "*M C H W D"]) -> Float[Tensor, "*M C"]:
        """Mean over channels and pixels, weighted by the mask."""
        weight = mask.to(squares)
        return (squares.mean(-1) * weight).sum((-2, -1)) / weight.sum((-2, -1)).clamp_min(1e-8)

    mean = truths.mean(0)
    variance = average((truths - mean).square()).sum(0) / (len(truths) - 1)
    bias = average((prediction - mean).square()) - variance / len(truths)
    return ErrorSplit(bias, variance, len(truths))
