"""How much of an error a better regressor could mend: bias against the spread of the truth.

Many truths fit one photo. Over them, the squared error of one prediction b splits exactly:

    mean |b - t|^2  =  |b - m|^2  +  mean |m - t|^2,        m = mean of t
    total              bias          variance

The bias is the model's own fault. The variance is nobody's: no function of the photo has a smaller
error than m. A generator that draws one t has twice the variance, 3 dB below m.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from toolkit.errors import fail


@dataclass(frozen=True)
class ErrorSplit:
    """Mean squared errors per pixel and channel, one a view.

    Attributes:
        bias: squared distance of the prediction to the mean of the truths.
        variance: of the truths around their mean.
        num: truths that were drawn.
    """

    bias: Float[Tensor, " C"]
    variance: Float[Tensor, " C"]
    num: int

    @property
    def total(self) -> Float[Tensor, " C"]:
        """Squared error of the prediction to one truth, on average."""
        return self.bias + self.variance

    @property
    def irreducible(self) -> float:
        """Share of the error that no function of the photo can mend, over all views."""
        return float(self.variance.sum() / self.total.sum().clamp_min(1e-12))

    @property
    def ceiling_db(self) -> float:
        """PSNR that the best regressor would gain: the bias gone, the variance left."""
        return _decibel(self.total.sum() / self.variance.sum().clamp_min(1e-12))

    @property
    def sampler_db(self) -> float:
        """PSNR that a perfect generator would gain (or lose), which draws one of the truths.

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
    """Bias and variance of a prediction's error, estimated without bias from M truths.

    Args:
        prediction: C views.
        truths: the same views of M draws that all agree with what the prediction knew.
        mask: weight of each pixel.

    The mean of M draws is itself off by variance / M; this is taken from the bias, which can
    therefore come out slightly negative. `total` is exactly the mean error to the M truths.
    """
    if len(truths) < 2 or truths.shape[1:] != prediction.shape or mask.shape != truths.shape[1:4]:
        fail(
            "split_error",
            got=f"{tuple(prediction.shape)}, {tuple(truths.shape)}, mask {tuple(mask.shape)}",
            wanted="(C,H,W,D), (M,C,H,W,D) with M >= 2 and (C,H,W)",
            fix="Stack at least two truths of the same views.",
        )

    def average(squares: Tensor) -> Tensor:
        weight = mask.to(squares)
        return (squares.mean(-1) * weight).sum((-2, -1)) / weight.sum((-2, -1)).clamp_min(1e-8)

    mean = truths.mean(0)
    variance = average((truths - mean).square()).sum(0) / (len(truths) - 1)
    bias = average((prediction - mean).square()) - variance / len(truths)
    return ErrorSplit(bias, variance, len(truths))
