"""Models as pairs of pure functions, and the two that the notes are about."""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Inexact

from jaxnet.activations import ACTIVATIONS
from jaxnet.initializers import INITIALIZERS
from jaxnet.layers import (
    BatchNormParams,
    BatchNormState,
    Layer,
    batch_norm,
    batch_norm_evaluate,
    dense,
    dropout,
    dropout_mask,
    update_running,
)
from jaxnet.types import Params, PRNGKey, Scalar, State
from jaxnet.validation import (
    check_choice,
    check_count,
    check_flag,
    check_non_negative,
    check_probability,
    is_concrete,
)
from jaxnet.widths import draw, live
from jaxnet.widths import dropout_mask as narrow_mask


class Model(NamedTuple):
    """A model is two pure functions; any pair of this form trains, sweeps and checks here.

    init: key ↦ (params, state)
    apply: (params, state, x, *, key=None, train=False) ↦ (output before the last activation, state)

    `params` is learned; `state` holds running statistics, `()` when there are none. `train=True`
    turns dropout on (then `key` is needed) and makes batch norm use and record batch statistics.
    Numbers that the two carry in a `Partial` may be traced; what decides a shape belongs in a
    closure. `fit` remembers a program, and with it the closures, for as long as JAX does.
    """

    init: Callable[..., Any]
    apply: Callable[..., Any]


class Forward(NamedTuple):
    """A forward pass with everything it met on the way.

    zs: Z of each layer (batch, n_l); activations: A of each layer, X first, the output layer's
    left out (its Z is the result); state: the running statistics afterwards.
    """

    zs: tuple[Array, ...]
    activations: tuple[Array, ...]
    state: State


def _check_input(params: tuple[Layer, ...], x: Array) -> None:
    if x.ndim != 2:
        raise ValueError(f"x: expected shape (batch, n_in), one row an example, got {x.shape}")
    width, came_from = x.shape[1], f"x of shape {x.shape}"
    for number, layer in enumerate(params, start=1):
        n_in, n_out = layer.w.shape
        if n_in != width:
            expected = f"a model of {n_in} inputs" if number == 1 else f"w of shape {layer.w.shape}"
            raise ValueError(
                f"layer {number}: expected {n_in} columns for {expected}, got {width} from "
                f"{came_from}"
            )
        if layer.b.shape != (n_out,):
            raise ValueError(f"layer {number}: expected b of shape ({n_out},), got {layer.b.shape}")
        width, came_from = n_out, f"layer {number} with w of shape {layer.w.shape}"


def _per_hidden_layer(
    keep_prob: Scalar | Sequence[Scalar] | Array | None, hidden: int
) -> tuple[Scalar, ...] | None:
    if keep_prob is None:
        return None
    if isinstance(keep_prob, Sequence):
        each = tuple(keep_prob)
    elif jnp.ndim(keep_prob) == 0:
        return (keep_prob,) * hidden
    else:
        each = tuple(jnp.asarray(keep_prob))
    if len(each) != hidden:
        raise ValueError(
            f"keep_prob: expected one number or one for each of the {hidden} hidden layers, got "
            f"{len(each)}"
        )
    return each


def forward_pass(
    params: tuple[Layer, ...],
    state: State,
    x: Inexact[Array, "..."],
    *,
    activation: str | Callable[[Array], Array] = "relu",
    keep_prob: Scalar | Sequence[Scalar] | Array | None = None,
    key: PRNGKey | None = None,
    train: bool = False,
    offsets: Sequence[Array] | None = None,
    widths: Sequence[Scalar] | Array | None = None,
) -> Forward:
    """Forward propagation through L layers, keeping every Z and A.

    Z[l] = A[l−1] W[l] + b[l],   A[l] = g(Z[l]),   A[0] = X

    with batch norm between the two where a hidden layer has it, and inverted dropout on A[l] of
    the hidden layers when `train` and keep_prob is given.

    x: (batch, n_in). activation: the hidden layers' g, by name or as a function; the output
    layer's is left to the loss. keep_prob: one probability in (0, 1] or one for each hidden layer;
    None for no dropout. offsets: arrays added to each Z, whose gradient is therefore dZ[l] (of
    what batch norm puts out, where it is used). widths: the number of live units of each hidden
    layer, see `jaxnet.widths`; None for all.
    Raises ValueError for shapes that do not fit, naming the layer, and for dropout without a key.
    Source: notes §4, forward propagation in a deep network (figs. 33 to 35).
    """
    _check_input(params, x)
    g = ACTIVATIONS[activation] if isinstance(activation, str) else activation
    hidden = len(params) - 1
    keep = _per_hidden_layer(keep_prob, hidden) if train and hidden else None

    zs, activations, new_state = [], [x], []
    for index, layer in enumerate(params):
        z = dense(layer, activations[-1])
        if layer.norm is not None:
            running = state[index]
            if train:
                z, batch_statistics = batch_norm(layer.norm, z)
                running = update_running(running, batch_statistics)
            else:
                z = batch_norm_evaluate(layer.norm, running, z)
            new_state.append(running)
        if offsets is not None:
            z = z + offsets[index]
        zs.append(z)
        if index < hidden:
            a = g(z)
            if widths is not None:
                a = jnp.where(live(widths[index], a.shape[1])[None, :], a, 0)
            if keep is not None:
                if key is None:
                    raise ValueError("key: expected a random key to drop units with, got None")
                layer_key = jax.random.fold_in(key, index)
                if widths is None:
                    mask = dropout_mask(layer_key, a.shape, keep[index])
                else:
                    mask = narrow_mask(layer_key, a.shape, keep[index], widths[index])
                a = dropout(a, mask, keep[index])
            activations.append(a)
    return Forward(tuple(zs), tuple(activations), tuple(new_state))


def _check_params(params: tuple[Layer, ...], layer_sizes: tuple[int, ...], norm: bool) -> None:
    sizes = (params[0].w.shape[0], *(layer.w.shape[1] for layer in params))
    if sizes[1:] != layer_sizes[1:] or len(sizes) != len(layer_sizes):
        raise ValueError(
            f"params: expected those of a model of layer sizes {layer_sizes}, got those of {sizes}"
        )
    if len(params) > 1 and norm != (params[0].norm is not None):
        has, lacks = ("without", "with") if norm else ("with", "without")
        raise ValueError(f"params: expected those of a model {lacks} batch norm, got one {has}")


# Equal arguments give the same two functions, so that a model made twice is compiled once. What
# may be traced (keep_prob, init_scale, widths) is kept out of here and bound with Partial.
@cache
def _mlp_functions(layer_sizes: tuple[int, ...], activation: str, norm: bool, initializer: str):
    sizes = list(pairwise(layer_sizes))

    def init(init_scale, widths, key):
        keys = jax.random.split(key, len(sizes))
        if widths is not None:
            lives = list(pairwise((layer_sizes[0], *widths, layer_sizes[-1])))
        params, state = [], []
        for index, (n_in, n_out) in enumerate(sizes):
            normed = norm and index < len(sizes) - 1
            if widths is None:
                w = init_scale * INITIALIZERS[initializer](keys[index], n_in, n_out)
            else:
                w = init_scale * draw(initializer, keys[index], n_in, n_out, *lives[index])
            gamma_beta = BatchNormParams(jnp.ones(n_out), jnp.zeros(n_out)) if normed else None
            params.append(Layer(w, jnp.zeros(n_out), gamma_beta))
            if normed:
                state.append(BatchNormState(jnp.zeros(n_out), jnp.ones(n_out)))
        return tuple(params), tuple(state)

    def apply(keep_prob, widths, params, state, x, *, key=None, train=False):
        _check_params(params, layer_sizes, norm)
        forward = forward_pass(
            params,
            state,
            x,
            activation=activation,
            keep_prob=keep_prob,
            key=key,
            train=train,
            widths=widths,
        )
        logits = forward.zs[-1]
        return (logits[:, 0] if layer_sizes[-1] == 1 else logits), forward.state

    return init, apply


def _drops_nothing(keep_prob) -> bool:
    return is_concrete(keep_prob) and bool(np.all(np.asarray(keep_prob) == 1))


def _check_widths(widths: tuple[Any, ...], full: tuple[int, ...]) -> None:
    if len(widths) != len(full):
        raise ValueError(
            f"widths: expected one for each of the {len(full)} hidden layers, got {len(widths)}"
        )
    for index, (width, n) in enumerate(zip(widths, full, strict=True)):
        if is_concrete(width):
            check_count(f"widths[{index}]", np.asarray(width).item())
            if width > n:
                raise ValueError(
                    f"widths[{index}]: expected at most the layer's {n} units, got {width}"
                )


def mlp(
    layer_sizes: Sequence[int],
    *,
    activation: str = "relu",
    keep_prob: Scalar | Sequence[Scalar] | Array = 1.0,
    batch_norm: bool = False,
    initializer: str = "he",
    init_scale: Scalar = 1.0,
    widths: Sequence[Scalar] | Array | None = None,
) -> Model:
    """Multilayer perceptron of L = len(layer_sizes) − 1 layers.

    A[l] = g(A[l−1] W[l] + b[l]) for the hidden layers; the output layer stays linear, since losses
    take logits

    layer_sizes: (n_in, …, n_out), each at least 1. One output unit gives outputs of shape
    (batch,), several (batch, n_out). activation: of the hidden layers, a name in
    `activations.ACTIVATIONS`. keep_prob: of dropout, one number or one for each hidden layer.
    batch_norm: normalise every hidden Z (the bias b then has no effect, β takes its place).
    initializer: a name in `initializers.INITIALIZERS`; weights are init_scale times its draw,
    biases zero. widths: how many units of each hidden layer live, the others being zero and
    without effect: the network is that of the smaller layers, and one program serves all widths
    (`widths.narrow` cuts the smaller one out). keep_prob, init_scale and widths may be traced; a
    traced width that is out of range gives parameters of NaN.
    Raises ValueError for sizes below 1, unknown names, keep_prob outside (0, 1], and widths outside
    1 … the layer's size.
    Source: notes §4, deep L-layer neural network.

    >>> model = mlp((5, 4, 3))
    >>> params, state = model.init(jax.random.key(0))
    >>> logits, state = model.apply(params, state, jnp.ones((7, 5)))
    >>> logits.shape
    (7, 3)
    """
    if not isinstance(layer_sizes, Sequence | np.ndarray) or len(layer_sizes) < 2:
        raise ValueError(f"layer_sizes: expected (n_in, …, n_out), got {layer_sizes!r}")
    layer_sizes = tuple(layer_sizes)
    for index, size in enumerate(layer_sizes):
        check_count(f"layer_sizes[{index}]", size)
    layer_sizes = tuple(int(size) for size in layer_sizes)
    check_choice("activation", activation, ACTIVATIONS)
    check_choice("initializer", initializer, INITIALIZERS)
    check_probability("keep_prob", keep_prob)
    check_flag("batch_norm", batch_norm)
    check_non_negative("init_scale", init_scale)
    _per_hidden_layer(keep_prob, len(layer_sizes) - 2)
    if widths is not None:
        widths = tuple(widths)
        _check_widths(widths, layer_sizes[1:-1])
    init, apply = _mlp_functions(layer_sizes, activation, batch_norm, initializer)
    keep = None if _drops_nothing(keep_prob) else keep_prob
    return Model(Partial(init, init_scale, widths), Partial(apply, keep, widths))


def logistic_regression(n_in: int) -> Model:
    """Logistic regression: one unit, started from zero.

    z = wᵀx + b;  the probability of a 1 is σ(z)

    n_in: number of features, at least 1. Goes with `losses.binary_cross_entropy`.
    Raises ValueError for n_in below 1.
    Source: notes §2, logistic regression (fig. 4).
    """
    check_count("n_in", n_in)
    return mlp((n_in, 1), initializer="zeros")


def flat_size(params: Params) -> int:
    """Number of parameters.

    >>> flat_size({"w": jnp.zeros((5, 4)), "b": jnp.zeros(4)})
    24
    """
    return sum(leaf.size for leaf in jax.tree.leaves(params))
