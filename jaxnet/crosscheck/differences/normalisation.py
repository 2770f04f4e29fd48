"""Rows 28 to 31: batch norm's memory, variances and ε, and layer norm's ε."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import reference_numpy as ref
from jaxnet.crosscheck.backends import frameworks
from jaxnet.crosscheck.differences.difference import (
    AGREE_IF,
    CANNOT,
    Check,
    Difference,
    agree,
    default,
    differ,
    differ_as_predicted,
    is_default,
)

TOPIC = "normalisation and dropout"
M, N, BATCHES, KEEP = 7, 4, 5, 0.9

# keras normalises in float32 even in layers of dtype float64 (row 39): fifty roundings of it, for
# sums of seven, a root and a quotient, of results of up to 2.
KERAS_BOUND = 50 * 2.0**-24 * 2


def _batches() -> np.ndarray:
    """Five batches of seven examples of four units, (5, 7, 4), none of them centred."""
    rng = np.random.default_rng(7)
    return rng.standard_normal((BATCHES, M, N)) * rng.uniform(0.5, 2, N) + 1


def _textbook(decay: float) -> tuple[np.ndarray, np.ndarray]:
    """Running mean and biased variance after the batches, from 0 and 1."""
    mean, var = np.zeros((N, 1)), np.ones((N, 1))
    for batch in _batches():
        cache = ref.batch_norm.forward(batch.T, np.ones((N, 1)), np.zeros((N, 1)))[1]
        mean, var = ref.batch_norm.update_running(mean, var, cache.mu, cache.var, decay)
    return mean[:, 0], var[:, 0]


def _torch_running(momentum: float) -> tuple[np.ndarray, np.ndarray]:
    torch = frameworks.torch()
    layer = torch.nn.BatchNorm1d(N, momentum=momentum, dtype=torch.float64)
    for batch in _batches():
        layer(torch.tensor(batch))
    return layer.running_mean.numpy(), layer.running_var.numpy()


def _flax_running(momentum: float) -> tuple[np.ndarray, np.ndarray]:
    from flax import linen

    layer = linen.BatchNorm(
        use_running_average=False, momentum=momentum, use_fast_variance=False,
        param_dtype=jnp.float64, dtype=jnp.float64,
    )  # fmt: skip
    variables = layer.init(jax.random.key(0), _batches()[0])
    statistics = {"mean": jnp.zeros(N), "var": jnp.ones(N)}
    for batch in _batches():
        full = {"params": variables["params"], "batch_stats": statistics}
        statistics = layer.apply(full, batch, mutable=["batch_stats"])[1]["batch_stats"]
    return np.asarray(statistics["mean"]), np.asarray(statistics["var"])


def _keras_running(momentum: float) -> tuple[np.ndarray, np.ndarray]:
    layer = frameworks.keras().layers.BatchNormalization(momentum=momentum, dtype="float64")
    for batch in _batches():
        layer(batch, training=True)
    return np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)


# Row 28: what momentum is, and ε.


def _kept(
    running: Callable[[float], tuple[np.ndarray, np.ndarray]], bound: float | None = None
) -> list[Check]:
    right = _textbook(KEEP)
    return [
        agree("running mean, the part kept given", running(KEEP)[0], right[0], bound=bound),
        agree("running variance", running(KEEP)[1], right[1], bound=bound),
        differ("the part that is new given", running(1 - KEEP)[0], right[0], bound=bound),
    ]


def _kept_flax() -> list[Check]:
    from flax import linen

    return [
        *_kept(_flax_running),
        is_default("momentum of flax' BatchNorm", linen.BatchNorm.momentum, 0.99),
        is_default("epsilon of flax' BatchNorm", linen.BatchNorm.epsilon, 1e-5),
    ]


def _kept_keras() -> list[Check]:
    layer = frameworks.keras().layers.BatchNormalization
    return [
        *_kept(_keras_running, KERAS_BOUND),
        default("momentum of keras' BatchNormalization", layer, "momentum", 0.99),
        default("epsilon of keras' BatchNormalization", layer, "epsilon", 0.001),
    ]


def _new_torch() -> list[Check]:
    right = _textbook(KEEP)[0]
    layer = frameworks.torch().nn.BatchNorm1d
    return [
        agree("running mean, 1 − keep given", _torch_running(1 - KEEP)[0], right),
        differ("keep given", _torch_running(KEEP)[0], right),
        default("momentum of torch's BatchNorm1d", layer, "momentum", 0.1),
        default("eps of torch's BatchNorm1d", layer, "eps", 1e-5),
    ]


def _normalised(z: np.ndarray, eps: float) -> np.ndarray:
    return ref.batch_norm.forward(z.T, np.ones((N, 1)), np.zeros((N, 1)), eps)[0].T


def _eps_keras() -> list[Check]:
    z = _batches()[0]
    layer = frameworks.keras().layers.BatchNormalization

    def out(**options):
        return layer(dtype="float64", **options)(z, training=True)

    right = _normalised(z, 1e-5)
    return [
        agree("ε = 1e-5 given", out(epsilon=1e-5), right, bound=KERAS_BOUND),
        differ_as_predicted(
            "keras' default ε", out(), right, _normalised(z, 1e-3), right, bound=KERAS_BOUND
        ),
    ]


# Row 29: the running variance.


def _unbiased() -> list[Check]:
    biased, torch_variance = _textbook(KEEP)[1], _torch_running(1 - KEEP)[1]
    start = KEEP**BATCHES  # what is left of the 1 it starts from, which nobody corrects
    mapped = start + M / (M - 1) * (biased - start)
    return [
        agree("ρᵗ + n/(n−1)(r − ρᵗ)", torch_variance, mapped),
        differ("the biased one as it is", torch_variance, biased),
        differ("n/(n−1) times it", torch_variance, M / (M - 1) * biased),
    ]


# Row 30: equinox.


def _equinox(mode: str) -> tuple[np.ndarray, np.ndarray]:
    """Output for the last batch in training, and afterwards at evaluation."""
    equinox = frameworks.equinox()
    layer, state = equinox.nn.make_with_state(equinox.nn.BatchNorm)(
        N, axis_name="batch", momentum=KEEP, mode=mode
    )
    out = None

    def apply(x, state, inference):
        return jax.vmap(
            lambda row, s: layer(row, s, inference=inference), axis_name="batch",
            in_axes=(0, None), out_axes=(0, None),
        )(x, state)  # fmt: skip

    for batch in _batches():
        out, state = apply(jnp.asarray(batch), state, False)
    return np.asarray(out), np.asarray(apply(jnp.asarray(batch), state, True)[0])


def _equinox_training() -> list[Check]:
    last = _batches()[-1]
    # mode "ema": statistics start at the first batch's own and are then averaged.
    mean, var = _batches()[0].mean(axis=0), _batches()[0].var(axis=0)
    for batch in _batches()[1:]:
        mean = KEEP * mean + (1 - KEEP) * batch.mean(axis=0)
        var = KEEP * var + (1 - KEEP) * batch.var(axis=0)
    running = (last - mean) / np.sqrt(var + 1e-5)
    own = _normalised(last, 1e-5)
    return [
        agree('mode="batch"', _equinox("batch")[0], own),
        differ_as_predicted('mode="ema"', _equinox("ema")[0], own, running, own),
        default("mode, which means ema", frameworks.equinox().nn.BatchNorm, "mode", "legacy"),
    ]


def _equinox_evaluation() -> list[Check]:
    """mode="batch" divides by 1 − ρᵗ at evaluation: right for a mean from 0, not a variance from 1.

    r = ρᵗ + (1−ρ)Σ… is what is kept; r/(1−ρᵗ) is the batches' average plus ρᵗ/(1−ρᵗ).
    """
    last = _batches()[-1]
    mean, var = _textbook(KEEP)
    scale = 1 - KEEP**BATCHES
    debiased = (last - mean / scale) / np.sqrt(var / scale + 1e-5)
    plain = (last - mean) / np.sqrt(var + 1e-5)
    columns: Any = [column[:, None] for column in (np.ones(N), np.zeros(N), mean, var)]
    right = ref.batch_norm.evaluate(last.T, *columns).T
    return [
        differ_as_predicted("at evaluation", _equinox("batch")[1], right, debiased, plain)
    ]  # fmt: skip


# Row 31: layer norm.


def _layer_norm(x: np.ndarray, eps: float) -> np.ndarray:
    centred = x - x.mean(axis=1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + eps)


def _layer_norm_checks(
    out: Callable[..., Any], argument: str, eps: float, bound: float | None = None
) -> list[Check]:
    x = _batches()[0] / 10  # so that an ε shows
    told, given = _layer_norm(x, eps), _layer_norm(x, 1e-4)
    return [
        agree("ε = 1e-4 given", out(x, **{argument: 1e-4}), given, bound=bound),
        differ_as_predicted(
            f"its default, {eps:g}, against 1e-4", out(x), given, told, given, bound=bound
        ),
    ]


def _layer_norm_flax() -> list[Check]:
    from flax import linen

    def out(x, **options):
        layer = linen.LayerNorm(
            use_fast_variance=False, dtype=jnp.float64, param_dtype=jnp.float64, **options
        )
        return layer.apply(layer.init(jax.random.key(0), x), x)

    return _layer_norm_checks(out, "epsilon", 1e-6)


def _layer_norm_torch() -> list[Check]:
    torch = frameworks.torch()

    def out(x, **options):
        return torch.nn.LayerNorm(N, dtype=torch.float64, **options)(torch.tensor(x))

    return _layer_norm_checks(out, "eps", 1e-5)


def _layer_norm_equinox() -> list[Check]:
    def out(x, **options):
        return jax.vmap(frameworks.equinox().nn.LayerNorm(N, **options))(jnp.asarray(x))

    return _layer_norm_checks(out, "eps", 1e-5)


def _layer_norm_keras() -> list[Check]:
    def out(x, **options):
        return frameworks.keras().layers.LayerNormalization(dtype="float64", **options)(x)

    return _layer_norm_checks(out, "epsilon", 1e-3, KERAS_BOUND)


NEW, KEPT_PART = "r := (1−m) r + m·batch", "r := m r + (1−m)·batch"

ROWS = (
    Difference(
        28, "a", TOPIC, {"flax BatchNorm": KEPT_PART, "torch BatchNorm1d": NEW},
        AGREE_IF + "keep = 1 − new", _kept_flax, {"flax": "momentum=0.99, epsilon=1e-5"},
        "momentum_flax = 1 − momentum_torch", ("flax",),
        "the notes' side of the two is the textbook's average with decay = keep",
    ),
    Difference(
        28, "b", TOPIC, {"keras BatchNormalization": KEPT_PART, "torch BatchNorm1d": NEW},
        AGREE_IF + "keep = 1 − new", _kept_keras, {"keras": "momentum=0.99, epsilon=1e-3"},
        "momentum_keras = 1 − momentum_torch", ("keras",),
    ),
    Difference(
        28, "c", TOPIC, {"torch BatchNorm1d": NEW, "flax, keras": KEPT_PART},
        AGREE_IF + "new = 1 − keep", _new_torch, {"torch": "momentum=0.1, eps=1e-5"},
        "momentum_torch = 1 − keep", ("torch",),
    ),
    Difference(
        28, "d", TOPIC, {"keras": "(z − μ)/√(σ² + 1e-3)", "torch, flax": "(z − μ)/√(σ² + 1e-5)"},
        AGREE_IF + "ε is given", _eps_keras, {"keras": "1e-3", "torch, flax": "1e-5"}, "pass ε",
        ("keras",),
    ),
    Difference(
        29, "", TOPIC, {"torch": "running average of n/(n−1) σ²", "flax, keras": "of σ²"},
        AGREE_IF + "r_torch = ρᵗ + n/(n−1)(r − ρᵗ), n constant", _unbiased,
        mapping="ρᵗ + n/(n−1)(r − ρᵗ)", needs=("torch",),
    ),
    Difference(
        30, "a", TOPIC,
        {"equinox ema": "training normalised by running statistics", "others": "by the batch's"},
        AGREE_IF + 'mode="batch"', _equinox_training, {"equinox": 'mode="ema", with a warning'},
        'mode="batch"', ("equinox",),
    ),
    Difference(
        30, "b", TOPIC,
        {"equinox batch": "r/(1−ρᵗ) at evaluation, r the average from 0 and 1", "others": "r"},
        CANNOT, _equinox_evaluation, mapping="none; alike once ρᵗ is small", needs=("equinox",),
        note="more than was written: the variance, which starts at 1, is divided by 1−ρᵗ too, and "
        "is too large by ρᵗ/(1−ρᵗ), 99 after one step at ρ = 0.99",
    ),
    Difference(
        31, "a", TOPIC, {"flax LayerNorm": "ε = 1e-6", "torch": "ε = 1e-5"},
        AGREE_IF + "ε is given", _layer_norm_flax, {"flax": "1e-6"}, "pass ε", ("flax",),
    ),
    Difference(
        31, "b", TOPIC, {"torch LayerNorm": "ε = 1e-5", "flax": "ε = 1e-6"},
        AGREE_IF + "ε is given", _layer_norm_torch, {"torch": "1e-5"}, "pass ε", ("torch",),
    ),
    Difference(
        31, "c", TOPIC, {"equinox LayerNorm": "ε = 1e-5", "flax": "ε = 1e-6"},
        AGREE_IF + "ε is given", _layer_norm_equinox, {"equinox": "1e-5"}, "pass ε", ("equinox",),
    ),
    Difference(
        31, "d", TOPIC, {"keras LayerNormalization": "ε = 1e-3", "torch": "ε = 1e-5"},
        AGREE_IF + "ε is given", _layer_norm_keras, {"keras": "1e-3"}, "pass ε", ("keras",),
    ),
)  # fmt: skip
