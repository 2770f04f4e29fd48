"""L1 and L2 penalties, the proximal step, and weight decay in its own right.

Only weights are penalised: the arrays of two or more axes in the parameters. Biases and batch
norm's γ and β have one axis and are left alone, as in the notes.

λ is the notes' λ everywhere: the penalty is λ/(2m)·Σ‖W‖² with m the number of *training* examples,
whatever the batch size, so that a λ means the same at every batch size. Elsewhere: scikit-learn's
α is λ but divided by the batch size; keras' l2 is λ/(2m), without the ½; torch's and optax's
weight_decay under plain descent is λ/m, and falls on biases too unless masked.
"""

import jax
import jax.numpy as jnp
import optax
from jax.tree_util import Partial
from jaxtyping import Array, Float

from jaxnet.types import Params, Scalar
from jaxnet.validation import check_non_negative, check_positive


def is_weight(leaf: Array) -> bool:
    """Whether a parameter array is a weight: two axes or more."""
    return jnp.ndim(leaf) >= 2


def weights(params: Params) -> list[Array]:
    """The weight arrays of a pytree of parameters, in its own order."""
    return [leaf for leaf in jax.tree.leaves(params) if is_weight(leaf)]


def _sum(terms: list[Array]) -> Float[Array, ""]:
    return sum(terms, start=jnp.zeros(()))


def _no_penalty(params: Params) -> Float[Array, ""]:
    del params
    return jnp.zeros(())


none = Partial(_no_penalty)
"""No penalty: params ↦ 0."""


def _l2(lam: Scalar, m: Scalar, params: Params) -> Float[Array, ""]:
    return lam / (2 * m) * _sum([jnp.sum(jnp.square(w)) for w in weights(params)])


def l2(lam: Scalar, *, m: Scalar = 1) -> Partial:
    """L2 penalty: params ↦ λ/(2m) Σ‖W‖²_F, gradient (λ/m) W.

    lam: λ ≥ 0; m: number of training examples. Without m, lam is already λ/m.
    Returns a function of the parameters; its numbers may be traced.
    Raises ValueError for a negative λ or an m that is not positive.
    Source: notes §5, regularization (figs. 44, 46, 47).

    >>> float(l2(6.0, m=3)({"w": jnp.ones((1, 2)), "b": jnp.ones(2)}))
    2.0
    """
    check_non_negative("lam", lam)
    check_positive("m", m)
    return Partial(_l2, lam, m)


def _l1(lam: Scalar, m: Scalar, params: Params) -> Float[Array, ""]:
    # w·sign(w) is |w|; held fixed, sign(w) is also the subgradient, with 0 at 0, where jax.grad of
    # abs would say 1 and push weights that are exactly zero away from it.
    absolute = [jnp.sum(w * jax.lax.stop_gradient(jnp.sign(w))) for w in weights(params)]
    return lam / (2 * m) * _sum(absolute)


def l1(lam: Scalar, *, m: Scalar = 1) -> Partial:
    """L1 penalty: params ↦ λ/(2m) Σ|w|, subgradient (λ/2m) sign(w) with sign(0) = 0.

    lam: λ ≥ 0; m: number of training examples. Without m, lam is already λ/m. The ½ is the notes';
    most texts write λ/m (erratum 23). Plain descent on it reaches no exact zeros: `proximal_l1`.
    Raises ValueError for a negative λ or an m that is not positive.
    Source: notes §5, regularization (fig. 45).

    >>> float(l1(6.0, m=3)({"w": -jnp.ones((1, 2)), "b": jnp.ones(2)}))
    2.0
    """
    check_non_negative("lam", lam)
    check_positive("m", m)
    return Partial(_l1, lam, m)


def _both(l2_penalty: Partial, l1_penalty: Partial, params: Params) -> Float[Array, ""]:
    return l2_penalty(params) + l1_penalty(params)


def elastic_net(l2_lam: Scalar, l1_lam: Scalar, *, m: Scalar = 1) -> Partial:
    """The sum of both penalties: params ↦ λ₂/(2m) Σ‖W‖² + λ₁/(2m) Σ|w|.

    Raises ValueError for a negative λ or an m that is not positive.
    """
    return Partial(_both, l2(l2_lam, m=m), l1(l1_lam, m=m))


def soft_threshold(w: Float[Array, "*shape"], threshold: Scalar) -> Float[Array, "*shape"]:
    """The proximal step of the L1 norm: argmin over v of ½(v − w)² + threshold·|v|.

    prox(w) = sign(w) · max(|w| − threshold, 0)

    Returns exact zeros where |w| ≤ threshold.

    >>> soft_threshold(jnp.array([-3.0, 0.5]), 1.0)
    Array([-2.,  0.], dtype=float32)
    """
    return jnp.sign(w) * jnp.maximum(jnp.abs(w) - threshold, 0)


def _no_state(params: Params) -> optax.EmptyState:
    del params
    return optax.EmptyState()


def _proximal_update(threshold: Scalar, updates, state, params=None, **extra):
    del extra
    if params is None:
        raise ValueError("params: the proximal step needs the parameters, got None")

    def step(update, w):
        # (prox(w + u) − w) added to w gives exact zeros: (0 − w) + w = 0 in floating point.
        return soft_threshold(w + update, threshold) - w if is_weight(w) else update

    return jax.tree.map(step, updates, params), state


def proximal_l1(
    lam: Scalar, *, learning_rate: Scalar, m: Scalar = 1
) -> optax.GradientTransformation:
    """Proximal step for the L1 penalty, to be chained after an optimizer of the bare cost.

    W := prox(W + update) with threshold α·λ/(2m), on weights only

    `optax.chain(gradient_descent(α), proximal_l1(λ, learning_rate=α, m=m))` is proximal gradient
    descent (ISTA) on cost + λ/(2m) Σ|w|, and unlike the subgradient it reaches exact zeros.
    Raises ValueError for a negative λ or learning rate, or an m that is not positive.
    Source: notes §5 (fig. 45) for the penalty; Daubechies et al. 2004 for the step.
    """
    check_non_negative("lam", lam)
    check_non_negative("learning_rate", learning_rate)
    check_positive("m", m)
    threshold = learning_rate * lam / (2 * m)
    return optax.GradientTransformation(Partial(_no_state), Partial(_proximal_update, threshold))


def _decay_update(rate: Scalar, updates, state, params=None, **extra):
    del extra
    if params is None:
        raise ValueError("params: weight decay needs the parameters, got None")
    return (
        jax.tree.map(lambda u, w: u - rate * w if is_weight(w) else u, updates, params),
        state,
    )


def weight_decay(
    lam: Scalar, *, learning_rate: Scalar, m: Scalar = 1
) -> optax.GradientTransformation:
    """Weight decay proper, to be chained after an optimizer of the bare cost.

    W := (1 − αλ/m) W + update, on weights only

    Under plain descent this is the L2 penalty written another way (notes §5, fig. 48). Under Adam
    and the other adaptive rules it is not: there it is AdamW, and
    `optax.adamw(α, weight_decay=λ/m, mask=…)` spells the same.
    Raises ValueError for a negative λ or learning rate, or an m that is not positive.
    Source: notes §5 (figs. 47, 48); Loshchilov and Hutter 2019 for the decoupled form.
    """
    check_non_negative("lam", lam)
    check_non_negative("learning_rate", learning_rate)
    check_positive("m", m)
    rate = learning_rate * lam / m
    return optax.GradientTransformation(Partial(_no_state), Partial(_decay_update, rate))
