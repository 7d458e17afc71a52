"""An analytic prior: the exact velocity of a Gaussian, for which SDEdit has a closed form.

No training and no approximation: what goes wrong here is the sampler's doing. It is the unit test
of `sdedit`; fitted to principal components of clips it shows strength, shift, stochastic steps.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from toolkit.errors import fail


@dataclass(frozen=True)
class GaussianPrior:
    """Data `x0 ~ N(mean, basis diag(variances) basis^T)` over flattened clips.

    Attributes:
        mean: centre of the data.
        basis: orthonormal columns (principal directions); outside their span the variance is 0.
        variances: along the columns, >= 0.
    """

    mean: Float[Tensor, " D"]
    basis: Float[Tensor, "D K"]
    variances: Float[Tensor, " K"]

    def __post_init__(self):
        if self.basis.shape != (len(self.mean), len(self.variances)) or (self.variances < 0).any():
            fail(
                "GaussianPrior",
                got=f"mean {tuple(self.mean.shape)}, basis "
                f"{tuple(self.basis.shape)}, variances {tuple(self.variances.shape)}",
                wanted="(D,), (D,K), (K,) with variances >= 0",
                fix="Use GaussianPrior.fit.",
            )

    @classmethod
    def fit(cls, samples: Float[Tensor, "N ..."], num_components: int = 32) -> "GaussianPrior":
        """Mean and leading principal components of `samples` (flattened)."""
        flat = samples.reshape(len(samples), -1)
        mean = flat.mean(dim=0)
        _, singular, basis = torch.linalg.svd(flat - mean, full_matrices=False)
        count = min(num_components, len(singular))
        variances = singular[:count] ** 2 / max(len(flat) - 1, 1)
        return cls(mean, basis[:count].T.contiguous(), variances)

    def velocity(
        self, x: Float[Tensor, "B ..."], sigma: Tensor | float, condition: object = None
    ) -> Tensor:
        """`E[eps - x0 | x_s = x]`, exact.

        Along a direction of variance l: x_s - (1-s) mean has variance n = (1-s)^2 l + s^2, so
        `E[x0] = mean + (1-s) l / n * (...)` and `E[eps] = s / n * (...)`.
        """
        s = torch.as_tensor(sigma, dtype=x.dtype)
        offset = x.reshape(len(x), -1) - (1 - s) * self.mean
        coefficients = offset @ self.basis
        total = (1 - s) ** 2 * self.variances + s**2
        gain = (s - (1 - s) * self.variances) / total.clamp_min(1e-12)
        outside = (offset - coefficients @ self.basis.T) / s.clamp_min(1e-6)
        v = (coefficients * gain) @ self.basis.T + outside - self.mean
        return v.reshape(x.shape)

    def transport(self, x: Float[Tensor, "B ..."], sigma: float) -> Tensor:
        """Where the exact probability-flow ODE takes a sample at `sigma` when it reaches 0."""
        offset = (x.reshape(len(x), -1) - (1 - sigma) * self.mean) @ self.basis
        return (self.mean + (offset * self._scale(sigma)) @ self.basis.T).reshape(x.shape)

    def sdedit_moments(self, guide: Float[Tensor, " ..."], sigma: float) -> tuple[Tensor, Tensor]:
        """Mean (shape of `guide`) and variances (K,) of exact ODE SDEdit from `guide` at `sigma`.

        Faithfulness shrinks with `sigma` as `(1-s) sqrt(l / n)`; the rest is fresh prior.
        """
        scale = self._scale(sigma)
        offset = (guide.reshape(-1) - self.mean) @ self.basis
        mean = self.mean + (offset * scale * (1 - sigma)) @ self.basis.T
        return mean.reshape(guide.shape), (scale * sigma) ** 2

    def sample(self, num: int, generator: torch.Generator | None = None) -> Float[Tensor, "N D"]:
        """Draw `num` flattened clips."""
        noise = torch.randn(num, len(self.variances), generator=generator, dtype=self.mean.dtype)
        return self.mean + (noise * self.variances.sqrt()) @ self.basis.T

    def _scale(self, sigma: float) -> Float[Tensor, " K"]:
        total = (1 - sigma) ** 2 * self.variances + sigma**2
        return (self.variances / total.clamp_min(1e-12)).sqrt()
