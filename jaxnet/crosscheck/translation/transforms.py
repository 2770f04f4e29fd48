"""optax transformations for the update rules that no argument of optax's own makes.

g the gradient, x the parameters, t steps counted from 1, ε where each framework puts it. Written
array by array, in the order of the equations.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from jaxnet.crosscheck.translation.rates import Number, Rate, at


class RuleState(NamedTuple):
    """Steps taken, and per array whatever the rule keeps of it."""

    count: Int[Array, ""]
    kept: tuple[tuple[Array, ...], ...]


def per_array(
    start: Callable[..., tuple], step: Callable[..., Any]
) -> optax.GradientTransformationExtraArgs:
    """A rule for one array, made into an optax transformation.

    start(x) ↦ what is kept of the array x. step(g, x, t, *kept) ↦ update, what is kept now.
    """

    def init(params):
        kept = tuple(tuple(start(leaf)) for leaf in jax.tree.leaves(params))
        return RuleState(jnp.zeros((), jnp.int32), kept)

    def update(updates, state, params=None, **extra_args):
        del extra_args
        leaves, structure = jax.tree.flatten(updates)
        values = [None] * len(leaves) if params is None else jax.tree.leaves(params)
        count = state.count + 1
        t = count.astype(jnp.result_type(float))
        changes, kept = [], []
        for g, x, old in zip(leaves, values, state.kept, strict=True):
            change, *new = step(g, x, t, *old)
            changes.append(change.astype(g.dtype))
            # In the dtype of what it replaces: a scan's carry may not change.
            kept.append(tuple(n.astype(o.dtype) for n, o in zip(new, old, strict=True)))
        return jax.tree.unflatten(structure, changes), RuleState(count, tuple(kept))

    return optax.GradientTransformationExtraArgs(init, update)


def _zeros(number: int) -> Callable[..., tuple]:
    return lambda x: (jnp.zeros_like(x),) * number


def average(beta, old, new):
    """β·old + (1−β)·new."""
    return beta * old + (1 - beta) * new


def scale_by_adam_eps_hat(b1: Number, b2: Number, eps: Number, amsgrad: bool = False):
    """Adam with ε̂: √(1−β₂ᵗ)/(1−β₁ᵗ) · m/(√v + ε̂); amsgrad: v the largest so far.

    optax.scale_by_adam with ε = ε̂/√(1−β₂ᵗ), which changes with t.
    Source: keras/src/optimizers/adam.py; sklearn/neural_network/_stochastic_optimizers.py.
    """

    def step(g, x, t, m, v, *largest):
        m, v = average(b1, m, g), average(b2, v, g**2)
        largest = tuple(jnp.maximum(top, v) for top in largest)
        size = largest[0] if largest else v
        return (
            jnp.sqrt(1 - b2**t) / (1 - b1**t) * m / (jnp.sqrt(size) + eps), m, v, *largest
        )  # fmt: skip

    return per_array(_zeros(3 if amsgrad else 2), step)


def scale_by_amsgrad_raw(b1: Number, b2: Number, eps: Number):
    """AMSGrad with the maximum over v before its correction: m̂/(√(max v/(1−β₂ᵗ)) + ε).

    optax.scale_by_amsgrad takes the maximum over v̂. Source: torch/optim/adam.py.
    """

    def step(g, x, t, m, v, largest):
        m, v = average(b1, m, g), average(b2, v, g**2)
        largest = jnp.maximum(largest, v)
        update = m / (1 - b1**t) / (jnp.sqrt(largest / (1 - b2**t)) + eps)
        return update, m, v, largest

    return per_array(_zeros(3), step)


def scale_by_nadam(b1: Number, b2: Number, eps: Number, momentum_decay: Number):
    """NAdam with Dozat's momentum schedule μ_t = β₁(1 − ½·0.96^(tψ)), ψ the momentum_decay.

    update = (μ_{t+1} m/(1−Πμ_{≤t+1}) + (1−μ_t) g/(1−Πμ_{≤t})) / (√v̂ + ε)
    optax.scale_by_adam(nesterov=True) has μ_t = β₁. Source: torch/optim/nadam.py;
    keras/src/optimizers/nadam.py, where ψ = 1.
    """

    def mu(t):
        return b1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))

    def step(g, x, t, m, v, product):
        m, v, product = average(b1, m, g), average(b2, v, g**2), product * mu(t)
        ahead = mu(t + 1) * m / (1 - product * mu(t + 1)) + (1 - mu(t)) * g / (1 - product)
        return ahead / (jnp.sqrt(v / (1 - b2**t)) + eps), m, v, product

    return per_array(lambda x: (*_zeros(2)(x), jnp.ones((), x.dtype)), step)


def scale_by_radam_eps_hat(b1: Number, b2: Number, eps: Number):
    """RAdam with ε beside the uncorrected √v: m̂ · r_t √(1−β₂ᵗ)/(√v + ε) once ρ_t > 5, before m̂.

    optax.scale_by_radam has ε beside √v̂. Source: torch/optim/radam.py.
    """
    rho_inf = 2 / (1 - b2) - 1

    def step(g, x, t, m, v):
        m, v = average(b1, m, g), average(b2, v, g**2)
        corrected = m / (1 - b1**t)
        rho = rho_inf - 2 * t * b2**t / (1 - b2**t)
        # Below 5 the quotient may be negative; its root is not used there.
        ratio = (rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)
        rectified = jnp.sqrt(jnp.maximum(ratio, 0)) * jnp.sqrt(1 - b2**t) / (jnp.sqrt(v) + eps)
        return corrected * jnp.where(rho > 5, rectified, 1), m, v

    return per_array(_zeros(2), step)


def scale_by_adamax_eps_added(b1: Number, b2: Number, eps: Number):
    """Adamax with ε in the quotient: m̂/(u + ε), u = max(β₂u, |g|).

    optax.scale_by_adamax and torch have it in the maximum, max(β₂u, |g| + ε).
    Source: keras/src/optimizers/adamax.py.
    """

    def step(g, x, t, m, u):
        m, u = average(b1, m, g), jnp.maximum(b2 * u, jnp.abs(g))
        return m / ((1 - b1**t) * (u + eps)), m, u

    return per_array(_zeros(2), step)


def scale_by_rss_eps_outside(initial_accumulator_value: Number, eps: Number):
    """Adagrad with ε outside the root: g/(√Σg² + ε).

    optax.scale_by_rss has √(Σg² + ε). Source: torch/optim/adagrad.py.
    """

    def step(g, x, t, total):
        total = total + g**2
        return g / (jnp.sqrt(total) + eps), total

    return per_array(lambda x: (jnp.full_like(x, initial_accumulator_value),), step)


def trace_first_undamped(decay: Number, dampening: Number):
    """b = g at the first step, then b = μb + (1−τ)g, τ the dampening.

    Source: torch/optim/sgd.py.
    """

    def step(g, x, t, b):
        b = jnp.where(t == 1, g, decay * b + (1 - dampening) * g)
        return b, b

    return per_array(_zeros(1), step)


def scale_by_rprop(start: Number, eta_minus: Number, eta_plus: Number, least: Number, most: Number):
    """sign(g) times a step per entry, which grows by η⁺ while the sign stays and shrinks by η⁻.

    Where the sign has turned the entry rests once. optax.scale_by_rprop 0.2.8 returns the update of
    the step before (optax/_src/transform.py:949). Source: torch/optim/rprop.py.
    """

    def step(g, x, t, size, before):
        turned = jnp.sign(g * before)
        factor = jnp.where(turned > 0, eta_plus, jnp.where(turned < 0, eta_minus, 1.0))
        size = jnp.clip(size * factor, least, most)
        g = jnp.where(turned < 0, 0.0, g)
        return jnp.sign(g) * size, size, g

    return per_array(lambda x: (jnp.full_like(x, start), jnp.zeros_like(x)), step)


def _rms(array):
    return jnp.sqrt(jnp.mean(array**2))


def adafactor_torch(
    learning_rate: Rate, beta2_decay: Number, eps1: Number | None, eps2: Number, d: Number
):
    """Adafactor as torch has it: squares averaged by rows and columns, with floors ε₁ and ε₁².

    A vector keeps all its squares. No momentum, and −α is in it. ε₁ None: the spacing of the
    dtype at 1. optax.adafactor adds ε to g² instead, factors from 128 rows on, and clips and
    scales otherwise.
    Source: torch/optim/_adafactor.py.
    """

    def start(x):
        if x.ndim < 2:
            return (jnp.zeros_like(x),)
        return jnp.zeros_like(x[..., :1]), jnp.zeros_like(x[..., :1, :])

    def step(g, x, t, *squares):
        new = t**beta2_decay
        floor = float(jnp.finfo(g.dtype).eps) if eps1 is None else eps1
        size = jnp.maximum(eps2, _rms(x)) * jnp.minimum(at(learning_rate, t - 1), t**-0.5)
        if g.ndim < 2:
            squares = (average(1 - new, squares[0], g**2),)
            estimate = squares[0]
        else:
            rows, columns = (
                average(1 - new, old, jnp.mean(g**2, axis, keepdims=True))
                for old, axis in zip(squares, (-1, -2), strict=True)
            )
            squares = rows, columns
            estimate = rows * columns / jnp.maximum(jnp.mean(rows, -2, keepdims=True), floor)
        update = g / jnp.sqrt(jnp.maximum(estimate, floor**2))
        return -size / jnp.maximum(1, _rms(update) / d) * update, *squares

    return per_array(start, step)


def adafactor_keras(
    learning_rate: Rate, beta_2_decay: Number, epsilon_1: Number, epsilon_2: Number, clip: Number
):
    """Adafactor as keras has it: ε₁ added to g², squares averaged by rows and columns.

    A vector keeps all its squares. No momentum, and −α is in it.
    Source: keras/src/optimizers/adafactor.py.
    """

    def start(x):
        if x.ndim < 2:
            return (jnp.zeros_like(x),)
        return jnp.zeros_like(x[..., 0]), jnp.zeros_like(x[..., 0, :])

    def step(g, x, t, *squares):
        beta = 1 - t**beta_2_decay
        size = jnp.maximum(epsilon_2, _rms(x)) * jnp.minimum(at(learning_rate, t - 1), t**-0.5)
        square = g**2 + epsilon_1
        if g.ndim < 2:
            squares = (average(beta, squares[0], square),)
            estimate = squares[0]
        else:
            rows = average(beta, squares[0], jnp.mean(square, -1))
            columns = average(beta, squares[1], jnp.mean(square, -2))
            squares = rows, columns
            shares = rows / jnp.mean(rows, -1, keepdims=True)
            estimate = shares[..., :, None] * columns[..., None, :]
        update = g / jnp.sqrt(estimate)
        return -size * update / jnp.maximum(1, _rms(update) / clip), *squares

    return per_array(start, step)


def ftrl(
    learning_rate: Rate, power: Number, initial: Number, l1: Number, l2: Number, shrinkage: Number
    , beta: Number
):  # fmt: skip
    """FTRL-proximal: x solved for anew at each step from the sums n of g² and z of gradients.

    Source: keras/src/optimizers/ftrl.py. McMahan et al. 2013.
    """

    def step(g, x, t, n, z):
        alpha = at(learning_rate, t - 1).astype(g.dtype)
        total = n + g**2
        sigma = (total**-power - n**-power) / alpha
        z = z + g + 2 * shrinkage * x - sigma * x
        quadratic = total**-power / alpha + 2 * (l2 + beta / (2 * alpha))
        return (jnp.clip(z, -l1, l1) - z) / quadratic - x, total, z

    return per_array(lambda x: (jnp.full_like(x, initial), jnp.zeros_like(x)), step)


def schedule_free_adamw(
    learning_rate: Rate, b1: Number, b2: Number, eps: Number, warmup_steps: int
):
    """Schedule-free AdamW: Adam without momentum on z, its running mean x, and y between the two.

    y = (1−β₁)z + β₁x is what the parameters hold. Source:
    keras/src/optimizers/schedule_free_adamw.py. Defazio et al. 2024.
    """

    def step(g, y, t, z, v):
        alpha = at(learning_rate, t - 1) * jnp.minimum(t / max(warmup_steps, 1), 1)
        v = average(b2, v, g**2)
        x = (y - (1 - b1) * z) / b1
        z = z - alpha * g / (jnp.sqrt(v / (1 - b2**t)) + eps)
        x = average(1 - 1 / t, x, z)
        return average(b1, x, z) - y, z, v

    return per_array(lambda x: (x, jnp.zeros_like(x)), step)
