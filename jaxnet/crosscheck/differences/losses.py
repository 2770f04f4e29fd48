"""Rows 33 to 36: what a loss is divided by, its ½, probabilities of 0 and 1, smoothed labels."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import optax

import reference_numpy as ref
from jaxnet.crosscheck.backends import frameworks
from jaxnet.crosscheck.differences.difference import (
    AGREE,
    AGREE_IF,
    Check,
    Difference,
    agree,
    differ,
    differ_as_predicted,
)

TOPIC = "losses"
M, K = 7, 3
ALPHA = 0.1

# What keras has in float32: a logarithm, a sum of three products and a mean of seven.
KERAS_BOUND = 50 * 2.0**-24 * 2


def _logits() -> np.ndarray:
    return np.random.default_rng(9).standard_normal((M, K))


def _labels() -> np.ndarray:
    return np.array([0, 2, 1, 1, 0, 2, 0])


def _one_hot() -> np.ndarray:
    return np.eye(K)[_labels()]


def _each() -> np.ndarray:
    """The reference's cross-entropy of each example."""
    return ref.losses.softmax_cross_entropy_from_logits(_logits().T, _one_hot().T)


def _tensor(array: Any) -> Any:
    return frameworks.torch().tensor(np.array(array))


def _functional() -> Any:
    return frameworks.torch().nn.functional


def _keras_loss(name: str, **options: Any) -> Any:
    return getattr(frameworks.keras().losses, name)(dtype="float64", **options)


# Row 33: reductions.


def _reduction_optax() -> list[Check]:
    each = optax.softmax_cross_entropy_with_integer_labels(jnp.asarray(_logits()), _labels())
    return [
        agree("mean of optax' losses", jnp.mean(each), ref.losses.cost(_each())),
        differ("their sum", jnp.sum(each), ref.losses.cost(_each())),
    ]


def _reduction_torch() -> list[Check]:
    loss = _functional().cross_entropy
    z, y = _tensor(_logits()), _tensor(_labels())
    return [
        agree("torch's default", loss(z, y), ref.losses.cost(_each())),
        differ('reduction="sum"', loss(z, y, reduction="sum"), ref.losses.cost(_each())),
    ]


def _each_binary() -> np.ndarray:
    """Of each example the sum over its units."""
    units = [
        ref.losses.binary_cross_entropy_from_logits(_logits().T[[k]], _one_hot().T[[k]])
        for k in range(K)
    ]
    return np.sum(units, axis=0)


def _binary_torch() -> list[Check]:
    loss = _functional().binary_cross_entropy_with_logits
    mean = loss(_tensor(_logits()), _tensor(_one_hot()))
    right = ref.losses.cost(_each_binary())
    return [agree("K times torch's", K * mean, right), differ("torch's default", mean, right)]


def _binary_keras() -> list[Check]:
    mean = np.asarray(_keras_loss("BinaryCrossentropy", from_logits=True)(_one_hot(), _logits()))
    right = ref.losses.cost(_each_binary())
    return [
        agree("K times keras'", K * mean, right, bound=K * KERAS_BOUND),
        differ("keras' default", mean, right, bound=KERAS_BOUND),
    ]


def _weighted() -> list[Check]:
    by_class = np.array([1.0, 0.2, 0.4])
    w = by_class[_labels()]
    loss = _functional().cross_entropy
    torch_mean = loss(_tensor(_logits()), _tensor(_labels()), weight=_tensor(by_class))
    keras_mean = np.asarray(
        _keras_loss("CategoricalCrossentropy", from_logits=True)(
            _one_hot(), _logits(), sample_weight=w
        )
    )
    each = _each()
    return [
        agree("torch's times Σw/N", torch_mean * w.sum() / M, keras_mean, bound=KERAS_BOUND),
        differ_as_predicted(
            "Σwℓ/Σw against Σwℓ/N", torch_mean, keras_mean, (w * each).sum() / w.sum(),
            (w * each).sum() / M, bound=KERAS_BOUND,
        ),
    ]  # fmt: skip


# Row 34: squared error.


def _targets() -> np.ndarray:
    return np.random.default_rng(10).standard_normal((M, K))


def _half() -> np.ndarray:
    """The textbook's ½ Σ (ŷ − y)² of each example."""
    return ref.losses.squared_error(_logits().T, _targets().T)


def _squared_optax() -> list[Check]:
    z, y = jnp.asarray(_logits()), jnp.asarray(_targets())
    return [
        agree("l2_loss, summed over units", optax.l2_loss(z, y).sum(axis=1), _half()),
        differ("squared_error", optax.squared_error(z, y).sum(axis=1), _half()),
    ]


def _squared_mean(mean: Any, factor: int | float, bound: float | None = None) -> list[Check]:
    right = ref.losses.cost(_half())
    return [
        agree(f"times {factor:g}", factor * mean, right, bound=bound),
        differ("as it is", mean, right, bound=bound),
    ]


def _squared_torch() -> list[Check]:
    return _squared_mean(_functional().mse_loss(_tensor(_logits()), _tensor(_targets())), K / 2)


def _squared_keras() -> list[Check]:
    mean = np.asarray(_keras_loss("MeanSquaredError")(_targets(), _logits()))
    # 1.5 times a mean of up to 3.
    return _squared_mean(mean, K / 2, bound=4 * KERAS_BOUND)


def _squared_sklearn() -> list[Check]:
    from sklearn.neural_network._base import squared_loss

    return _squared_mean(squared_loss(_targets(), _logits()), K)


# Row 35: certain and wrong.

FAR = 20.0
"""A logit at which σ is 1 − 2e-9: below float32's and torch's clips, above float64's."""


def _certain(loss: Any, told: float) -> list[Check]:
    """Loss at p = 1, y = 0 beside the definition's, which is infinite."""
    naive = ref.losses.binary_cross_entropy([[1.0]], [[0]])[0]
    return [differ_as_predicted("p = 1, y = 0", loss, naive, told, np.inf)]


def _from_logit(loss: Any, bound: float | None = None) -> list[Check]:
    right = ref.losses.binary_cross_entropy_from_logits([[FAR]], [[0]])[0]
    return [agree("from the logit 20", loss, right, bound=bound)]


def _certain_torch() -> list[Check]:
    loss, one, zero = _functional().binary_cross_entropy, _tensor([1.0]), _tensor([0.0])
    logits = _functional().binary_cross_entropy_with_logits
    return [*_certain(loss(one, zero), 100.0), *_from_logit(logits(_tensor([FAR]), zero))]


def _certain_keras() -> list[Check]:
    loss = frameworks.keras().losses.BinaryCrossentropy()(np.array([[0.0]]), np.array([[1.0]]))
    # Clipped at 1 − 1e-7, which in float32 is 1 − 2⁻²³: −log 2⁻²³ = 15.94, not 16.12.
    clip = 1 - float(np.float32(1) - np.float32(1e-7))
    naive = ref.losses.binary_cross_entropy([[1.0]], [[0]])[0]
    logits = _keras_loss("BinaryCrossentropy", from_logits=True)
    out = np.asarray(logits(np.array([[0.0]]), np.array([[FAR]])))
    return [
        differ_as_predicted(
            "p = 1, y = 0", np.asarray(loss), naive, -np.log(clip), np.inf, bound=16 * KERAS_BOUND
        ),
        *_from_logit(out, bound=20 * KERAS_BOUND),
    ]  # fmt: skip


def _certain_sklearn() -> list[Check]:
    from sklearn.metrics import log_loss

    loss = log_loss([0], [[0.0, 1.0]], labels=[0, 1])
    return _certain(loss, float(-np.log(np.finfo(np.float64).eps)))


def _certain_optax() -> list[Check]:
    p = jnp.ones(())
    naive_jax = -(0 * jnp.log(p) + 1 * jnp.log(1 - p))
    logits = optax.sigmoid_binary_cross_entropy(jnp.asarray([FAR]), jnp.zeros(1))[0]
    finite = ref.losses.binary_cross_entropy_from_logits([[FAR]], [[0]])[0]
    return [
        *_from_logit(logits),
        differ_as_predicted("log(1 − p) at p = 1", naive_jax, logits, np.inf, finite),
    ]


# Row 36: label smoothing.


def _smoothed(floor: float) -> np.ndarray:
    """Cross-entropy of each example with targets (1−α)y + α·floor."""
    targets = (1 - ALPHA) * _one_hot() + ALPHA * floor
    z = _logits()
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return -(targets * log_p).sum(axis=1)


def _smooth_optax() -> list[Check]:
    smooth = optax.smooth_labels(jnp.asarray(_one_hot()), ALPHA)
    each = optax.softmax_cross_entropy(jnp.asarray(_logits()), smooth)
    return [agree("(1−α)y + α/K", each, _smoothed(1 / K))]


def _smooth_torch() -> list[Check]:
    z, y = _tensor(_logits()), _tensor(_labels())
    mean = _functional().cross_entropy(z, y, label_smoothing=ALPHA)
    return [agree("(1−α)y + α/K", mean, _smoothed(1 / K).mean())]


def _smooth_keras() -> list[Check]:
    loss = _keras_loss("CategoricalCrossentropy", from_logits=True, label_smoothing=ALPHA)
    mean = np.asarray(loss(_one_hot(), _logits()))
    return [agree("(1−α)y + α/K", mean, _smoothed(1 / K).mean(), bound=KERAS_BOUND)]


def _binary_smoothed(floor: float) -> float:
    """Mean over all units of log(1 + e^z) − z·target."""
    targets = (1 - ALPHA) * _one_hot() + ALPHA * floor
    return float((np.log1p(np.exp(_logits())) - targets * _logits()).mean())


def _smooth_keras_binary() -> list[Check]:
    def keras_loss(y, **options):
        loss = _keras_loss("BinaryCrossentropy", from_logits=True, **options)
        return np.asarray(loss(y, _logits()))

    by_hand = np.asarray(optax.smooth_labels(jnp.asarray(_one_hot()), ALPHA))
    other = optax.sigmoid_binary_cross_entropy(jnp.asarray(_logits()), by_hand).mean()
    keras_own = keras_loss(_one_hot(), label_smoothing=ALPHA)
    return [
        agree("targets smoothed by hand", keras_loss(by_hand), other, bound=KERAS_BOUND),
        differ_as_predicted(
            "α/2 against α/K", keras_own, other, _binary_smoothed(1 / 2), _binary_smoothed(1 / K),
            bound=KERAS_BOUND,
        ),
    ]  # fmt: skip


COST = "(1/m) Σᵢ Σₖ ℓᵢₖ"

ROWS = (
    Difference(
        33, "a", TOPIC, {"optax": "ℓᵢ, not reduced", "textbook": "(1/m) Σᵢ ℓᵢ"},
        AGREE_IF + "the caller takes the mean", _reduction_optax, mapping=".mean()",
    ),
    Difference(
        33, "b", TOPIC, {"torch cross_entropy": "(1/m) Σᵢ ℓᵢ", "textbook": "(1/m) Σᵢ ℓᵢ"},
        AGREE_IF + "reduction is left at mean", _reduction_torch, {"torch": "reduction='mean'"},
        "reduction='mean'", ("torch",),
    ),
    Difference(
        33, "c", TOPIC, {"torch BCE": "(1/mK) Σᵢ Σₖ ℓᵢₖ", "textbook": COST},
        AGREE_IF + "multiplied by K", _binary_torch, mapping="K · loss", needs=("torch",),
    ),
    Difference(
        33, "d", TOPIC, {"keras BCE": "(1/mK) Σᵢ Σₖ ℓᵢₖ", "textbook": COST},
        AGREE_IF + "multiplied by K", _binary_keras, mapping="K · loss", needs=("keras",),
    ),
    Difference(
        33, "e", TOPIC, {"torch, weighted": "Σwℓ/Σw", "keras": "Σwℓ/N"},
        AGREE_IF + "multiplied by Σw/N", _weighted, mapping="torch's · Σw/N",
        needs=("keras", "torch"),
    ),
    Difference(
        34, "a", TOPIC, {"optax l2_loss": "½(ŷ−y)²", "optax squared_error": "(ŷ−y)²"},
        AGREE_IF + "l2_loss is used", _squared_optax, mapping="l2_loss for the textbook's ½",
    ),
    Difference(
        34, "b", TOPIC, {"torch mse_loss": "(1/mK) ΣΣ (ŷ−y)²", "textbook": "(1/2m) ΣΣ (ŷ−y)²"},
        AGREE_IF + "multiplied by K/2", _squared_torch, mapping="K/2 · loss", needs=("torch",),
    ),
    Difference(
        34, "c", TOPIC, {"keras": "(1/mK) ΣΣ (ŷ−y)²", "textbook": "(1/2m) ΣΣ (ŷ−y)²"},
        AGREE_IF + "multiplied by K/2", _squared_keras, mapping="K/2 · loss", needs=("keras",),
    ),
    Difference(
        34, "d", TOPIC, {"scikit-learn": "(1/2mK) ΣΣ (ŷ−y)²", "textbook": "(1/2m) ΣΣ (ŷ−y)²"},
        AGREE_IF + "multiplied by K", _squared_sklearn, mapping="K · loss", needs=("sklearn",),
    ),
    Difference(
        35, "a", TOPIC, {"torch BCE": "log clipped at −100", "definition": "∞ at p = 1, y = 0"},
        AGREE_IF + "computed from logits", _certain_torch, mapping="…_with_logits",
        needs=("torch",),
    ),
    Difference(
        35, "b", TOPIC, {"keras BCE": "p clipped at 1e-7: 15.94", "definition": "∞"},
        AGREE_IF + "computed from logits", _certain_keras, mapping="from_logits=True",
        needs=("keras",),
    ),
    Difference(
        35, "c", TOPIC, {"scikit-learn log_loss": "p clipped at 2⁻⁵²: 36.04", "definition": "∞"},
        "cannot agree", _certain_sklearn, mapping="none; it takes probabilities only",
        needs=("sklearn",),
    ),
    Difference(
        35, "d", TOPIC, {"optax": "from logits: 20 at z = 20", "log(1 − σ(z)) by hand": "∞"},
        AGREE_IF + "computed from logits", _certain_optax, mapping="sigmoid_binary_cross_entropy",
    ),
    Difference(
        36, "a", TOPIC, {"optax": "(1−α)y + α/K", "textbook": "(1−α)y + α/K"}, AGREE,
        _smooth_optax, mapping="none needed",
    ),
    Difference(
        36, "b", TOPIC, {"torch": "(1−α)y + α/K", "optax": "(1−α)y + α/K"}, AGREE, _smooth_torch,
        mapping="none needed", needs=("torch",),
    ),
    Difference(
        36, "c", TOPIC, {"keras categorical": "(1−α)y + α/K", "optax": "(1−α)y + α/K"}, AGREE,
        _smooth_keras, mapping="none needed", needs=("keras",),
    ),
    Difference(
        36, "d", TOPIC, {"keras binary": "(1−α)y + α/2", "optax.smooth_labels": "(1−α)y + α/K"},
        AGREE_IF + "the targets are smoothed by hand", _smooth_keras_binary,
        mapping="smooth_labels(y, α) as targets", needs=("keras",),
    ),
)  # fmt: skip
