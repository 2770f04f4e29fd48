"""Every difference that can change a training, as two arms that differ in it alone.

Defaults are those a user of each framework gets; where a framework has none (a learning rate, a
strength), both arms have the same. Numbers that may be traced are in hyper, so that arms which
differ in numbers share a program.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxnet import losses
from jaxnet.initializers import he as he_weights
from jaxnet.training.run import Setup
from scripts.differences import _parts as parts
from scripts.differences._rules import RULE_PAIRS
from scripts.differences._setups import (
    ADAM,
    ADAM_DIGITS,
    built,
    by,
    by_adam,
)
from scripts.differences._training import Arm, Pair

# Rows 17 to 22.


@jax.custom_jvp
def _relu_at(at_zero: Any, z: Any) -> Any:
    return jnp.maximum(z, 0)


@_relu_at.defjvp
def _relu_slope(primals: Any, tangents: Any) -> Any:
    at_zero, z = primals
    slope = jnp.where(z > 0, 1.0, jnp.where(z == 0, at_zero, 0.0))
    return jnp.maximum(z, 0), slope * tangents[1]


relu_at = built(lambda h: parts.network(activation=partial(_relu_at, h["slope"])))
leaky = built(lambda h: parts.network(activation=lambda z: jnp.where(z >= 0, z, h["slope"] * z)))


def _gelu(approximate: bool) -> Callable[[Any], Setup]:
    return by_adam(model=parts.network(activation=partial(jax.nn.gelu, approximate=approximate)))


def _softplus_torch(z: Any) -> Any:
    return jnp.where(z > 20, z, jax.nn.softplus(jnp.minimum(z, 20)))


ACTIVATION_PAIRS = (
    Pair("17", "ReLU′(0)", Arm("1 (torch.clamp)", relu_at, {"slope": 1.0}),
         Arm("0 (jax, torch, keras)", relu_at, {"slope": 0.0}), ADAM_DIGITS),
    Pair("17", "ReLU′(0)", Arm("½ (jnp.maximum)", relu_at, {"slope": 0.5}),
         Arm("0 (jax, torch, keras)", relu_at, {"slope": 0.0}), ADAM_DIGITS),
    Pair("19", "leaky slope", Arm("0.2 (keras function)", leaky, {"slope": 0.2}),
         Arm("0.01 (jax, torch)", leaky, {"slope": 0.01}), ADAM_DIGITS),
    Pair("19", "leaky slope", Arm("0.3 (keras layer)", leaky, {"slope": 0.3}),
         Arm("0.01 (jax, torch)", leaky, {"slope": 0.01}), ADAM_DIGITS),
    Pair("20", "GELU", Arm("tanh (jax)", _gelu(True)), Arm("exact (torch)", _gelu(False)),
         ADAM_DIGITS),
    Pair("22", "softplus", Arm("z beyond 20 (torch)",
         by_adam(model=parts.network(activation=_softplus_torch))),
         Arm("log(1 + e^z) (jax)", by_adam(model=parts.network(activation=jax.nn.softplus))),
         ADAM_DIGITS),
)  # fmt: skip

# Rows 23 to 26.

KEPT = 0.87962566


def _drawn(draw: parts.Draw, **options: Any) -> Callable[[Any], Setup]:
    return by_adam(model=parts.network(draw=draw, **options))


def _he(key: Any, n_in: int, n_out: int) -> tuple[Any, Any]:
    return he_weights(key, n_in, n_out), jnp.zeros(n_out)


flax_draw = Arm("LeCun, truncated (flax)",
                _drawn(parts.truncated(lambda n_in, n_out: n_in**-0.5 / KEPT)))  # fmt: skip
torch_draw = Arm("U(±1/√n_in), b too (torch)",
                 _drawn(parts.uniform(lambda n_in, n_out: n_in**-0.5, biases=True)))  # fmt: skip


def _glorot_limit(n_in: int, n_out: int) -> float:
    return (6 / (n_in + n_out)) ** 0.5


keras_draw = Arm("Glorot uniform (keras)", _drawn(parts.uniform(_glorot_limit, biases=False)))
sklearn_draw = Arm("Glorot uniform, b too (scikit-learn)",
                   _drawn(parts.uniform(_glorot_limit, biases=True)))  # fmt: skip
cut_he = parts.truncated(lambda n_in, n_out: (2 / n_in) ** 0.5 / KEPT)
truncated_he = Arm("cut at 2.27 σ (jax, keras)", _drawn(cut_he))
he_draw = Arm("He, not cut (textbook, torch)", _drawn(_he))
of_sigma = parts.truncated(lambda n_in, n_out: 0.05)
rescaled = parts.truncated(lambda n_in, n_out: 0.05 / KEPT)
lecun = parts.normal(lambda n_in, n_out: n_in**-0.5)
glorot = parts.normal(lambda n_in, n_out: (2 / (n_in + n_out)) ** 0.5)

INITIAL_PAIRS = (
    Pair("23", "default initializer", torch_draw, flax_draw, ADAM_DIGITS),
    Pair("23", "default initializer", keras_draw, flax_draw, ADAM_DIGITS),
    Pair("23", "default initializer", torch_draw, keras_draw, ADAM_DIGITS),
    Pair("23", "random biases", sklearn_draw, keras_draw, ADAM_DIGITS),
    Pair("23", "He's instead of the default", he_draw, torch_draw, ADAM_DIGITS),
    Pair("24", "truncation, same variance", truncated_he, he_draw, ADAM_DIGITS),
    Pair("25", "Xavier", Arm("1/n_in (textbook)", _drawn(lecun, activation=jnp.tanh)),
         Arm("2/(in+out) (Glorot)", _drawn(glorot, activation=jnp.tanh)), ADAM_DIGITS + ", tanh"),
    Pair("26", "truncated_normal(0.05)", Arm("deviation 0.044 (jax, keras)", _drawn(of_sigma)),
         Arm("deviation 0.05", _drawn(rescaled)), ADAM_DIGITS),
)  # fmt: skip

# Rows 28 to 32.


def _normed(unbiased: bool = False, by_running: bool = False) -> Callable[[Any], Setup]:
    return built(lambda h: parts.network(normalise=parts.batch_norm(
        keep=h["keep"], eps=h["eps"], unbiased=unbiased, by_running=by_running
    )))  # fmt: skip


bn, bn_unbiased, bn_running = _normed(), _normed(unbiased=True), _normed(by_running=True)
ln = built(lambda h: parts.network(normalise=parts.layer_norm(h["eps"])))
dropped = built(lambda h: parts.network(keep_prob=h["keep"]))
BN_TORCH = {"keep": 0.9, "eps": 1e-5}

NORMALISATION_PAIRS = (
    Pair("28", "batch norm, what is kept", Arm("0.99 (flax, keras)", bn,
         {"keep": 0.99, "eps": 1e-5}), Arm("0.9 (torch)", bn, BN_TORCH), ADAM_DIGITS),
    Pair("28", "batch norm, momentum copied", Arm("0.1 kept (torch's number in flax)", bn,
         {"keep": 0.1, "eps": 1e-5}), Arm("0.9 kept (torch)", bn, BN_TORCH), ADAM_DIGITS),
    Pair("28", "batch norm, ε", Arm("1e-3 (keras)", bn, {"keep": 0.9, "eps": 1e-3}),
         Arm("1e-5 (torch, flax)", bn, BN_TORCH), ADAM_DIGITS),
    Pair("29", "running variance", Arm("n/(n−1) (torch)", bn_unbiased, BN_TORCH),
         Arm("biased (flax, keras)", bn, BN_TORCH), ADAM_DIGITS),
    Pair("30", "batch norm in training", Arm("running statistics (equinox ema)", bn_running,
         {"keep": 0.99, "eps": 1e-5}), Arm("the batch's (others)", bn,
         {"keep": 0.99, "eps": 1e-5}), ADAM_DIGITS),
    Pair("31", "layer norm, ε", Arm("1e-3 (keras)", ln, {"eps": 1e-3}),
         Arm("1e-6 (flax)", ln, {"eps": 1e-6}), ADAM_DIGITS),
    Pair("32", "dropout(0.2)", Arm("taken as keep_prob", dropped, {"keep": 0.2}),
         Arm("taken as rate", dropped, {"keep": 0.8}), ADAM_DIGITS),
)  # fmt: skip

# Rows 33 to 36.


def _one_hot(y: Any, k: int = 10) -> Any:
    return jax.nn.one_hot(y, k)


def _summed(logits: Any, y: Any) -> Any:
    return logits.shape[0] * losses.softmax_cross_entropy(logits, y)


def _binary(share: float, floor: float, logits: Any, y: Any) -> Any:
    """share · Σₖ of binary cross-entropies with targets smoothed towards floor."""
    targets = (1 - 0.1) * _one_hot(y) + 0.1 * floor if floor else _one_hot(y)
    return share * losses.binary_cross_entropy(logits, targets)


def _squared(factor: float, outputs: Any, y: Any) -> Any:
    return factor * losses.squared_error(outputs, _one_hot(y))


def _loss(loss: Callable[..., Any], optimizer: Any = None) -> Callable[[Any], Setup]:
    plain = optax.sgd(0.1)
    return by(lambda h: plain if optimizer is None else optimizer, loss=loss)


SGD_PLAIN = "descent, α = 0.1, no momentum"
mean_loss = losses.softmax_cross_entropy
LOSS_PAIRS = (
    Pair("33", "reduction over the batch", Arm("sum", _loss(_summed)), Arm("mean",
         _loss(mean_loss)), SGD_PLAIN),
    Pair("33", "reduction over the batch", Arm("sum", _loss(_summed, optax.adam(ADAM))),
         Arm("mean", _loss(mean_loss, optax.adam(ADAM))), ADAM_DIGITS),
    Pair("33", "binary cross-entropy over K", Arm("mean (torch, keras)",
         _loss(partial(_binary, 0.1, 0.0))), Arm("sum (textbook)",
         _loss(partial(_binary, 1.0, 0.0))), SGD_PLAIN),
    Pair("34", "squared error's ½", Arm("(ŷ−y)² (optax squared_error)",
         _loss(partial(_squared, 2.0))), Arm("½(ŷ−y)² (textbook)",
         _loss(partial(_squared, 1.0))), SGD_PLAIN),
    Pair("34", "squared error over K", Arm("mean (torch, keras)", _loss(partial(_squared, 0.2))),
         Arm("½ sum (textbook)", _loss(partial(_squared, 1.0))), SGD_PLAIN),
    Pair("36", "smoothed binary labels, α = 0.1", Arm("α/2 (keras binary)",
         _loss(partial(_binary, 1.0, 0.5), optax.adam(ADAM))), Arm("α/K",
         _loss(partial(_binary, 1.0, 0.1), optax.adam(ADAM))), ADAM_DIGITS),
)  # fmt: skip

# Rows 37 to 39.


def _standardised(ddof: int, eps: float, x: Any, train: Any) -> Any:
    mean, var = train.mean(axis=0), train.var(axis=0, ddof=ddof)
    # Without an ε a column that does not vary is divided by 1.
    scale = jnp.sqrt(var + eps) if eps else jnp.where(var == 0, 1.0, jnp.sqrt(var))
    return (x - mean[None, :]) / scale[None, :]


plain_adam = by_adam()
DATA_PAIRS = (
    Pair("37", "inputs standardised, ddof", Arm("1 (torch)", plain_adam,
         prepare=partial(_standardised, 1, 0.0)), Arm("0 (NumPy, scikit-learn)", plain_adam,
         prepare=partial(_standardised, 0, 0.0)), ADAM_DIGITS),
    Pair("37", "columns with σ near 0", Arm("√(σ² + 1e-5) (jax)", plain_adam,
         prepare=partial(_standardised, 0, 1e-5)), Arm("σ, or 1 (scikit-learn)", plain_adam,
         prepare=partial(_standardised, 0, 0.0)), ADAM_DIGITS),
    Pair("38", "order of the examples", Arm("the same every epoch (torch)", plain_adam,
         shuffle=False), Arm("shuffled (keras, scikit-learn)", plain_adam), ADAM_DIGITS),
    Pair("38", "partial batch", Arm("dropped", plain_adam, drop_last=True),
         Arm("kept (all frameworks)", plain_adam), ADAM_DIGITS),
    Pair("39", "precision", Arm("float64", plain_adam, x64=True), Arm("float32", plain_adam),
         ADAM_DIGITS),
)  # fmt: skip

PAIRS = (
    *RULE_PAIRS, *ACTIVATION_PAIRS, *INITIAL_PAIRS, *NORMALISATION_PAIRS, *LOSS_PAIRS, *DATA_PAIRS,
)  # fmt: skip
