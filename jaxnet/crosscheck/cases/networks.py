"""Rows for logistic regression and for whole networks, forward and backward."""

from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet import activations, layers, losses, models, regularizers
from jaxnet.crosscheck import bounds, layout, oracle
from jaxnet.crosscheck.cases.case import Args, Case, Results, Transform, sizes
from jaxnet.crosscheck.cases.losses import draw_targets, jaxnet_loss
from reference_numpy import logistic_regression
from reference_numpy import mlp as reference

KINK_MARGIN = 1e-3
"""Least |Z| in front of a ReLU, so that neither rounding nor a difference quotient crosses 0."""


def _pairs(args: Args, depth: int) -> list[tuple[Any, Any]]:
    return [(args[f"W{layer}"], args[f"b{layer}"]) for layer in range(1, depth + 1)]


def _named(letter: str, arrays: Any) -> dict[str, Any]:
    return {f"{letter}{layer}": array for layer, array in enumerate(arrays, start=1)}


@partial(jax.jit, static_argnums=2)
def _draw_mask(seed: Any, index: Any, shape: tuple[int, int], keep_prob: Any) -> Any:
    return layers.dropout_mask(jax.random.fold_in(jax.random.key(seed), index), shape, keep_prob)


def masks(args: Args) -> list[np.ndarray]:
    """The masks that jaxnet's forward pass draws from the same key, in the reference's layout."""
    m = args["X"].shape[1]
    return [
        layout.columns(_draw_mask(args["seed"], index, (m, len(args[f"b{index + 1}"])), keep_prob))
        for index, keep_prob in enumerate(args["keep_prob"])
    ]


def _row(
    hidden: str,
    output: str,
    *,
    depth: int = 3,
    units: int | None = None,
    l2: bool = False,
    dropout: bool = False,
    label: str = "",
) -> Case:
    def draw(rng: np.random.Generator) -> Args:
        m, *widths = sizes(rng, depth + 2, low=3, high=8)
        widths[-1] = units or widths[-1]
        while True:
            args = draw_of_sizes(rng, m, widths)
            _, caches = reference.forward(
                _pairs(args, depth), args["X"], hidden=hidden, **drops(args)
            )
            # Drawn again at a kink, and where no unit of a layer is on: all gradients would be 0.
            if all(np.abs(cache.Z).min() > KINK_MARGIN and cache.A.any() for cache in caches[:-1]):
                return args

    def draw_of_sizes(rng: np.random.Generator, m: int, widths: list[int]) -> Args:
        args: Args = {
            "X": rng.normal(size=(widths[0], m)),
            "Y": draw_targets(rng, output, widths[-1], m),
            "l2": float(rng.uniform(0.5, 2)) if l2 else 0.0,
            "seed": int(rng.integers(1000)),
            "keep_prob": [0.75, 0.625, 0.875][: depth - 1] if dropout else [],
        }
        for layer, (n_in, n_out) in enumerate(pairwise(widths), start=1):
            args[f"W{layer}"] = rng.normal(size=(n_out, n_in)) * np.sqrt(2 / n_in)
            args[f"b{layer}"] = 0.5 * rng.normal(size=(n_out, 1))
        return args

    def drops(args: Args) -> dict[str, Any]:
        return {"masks": masks(args), "keep_prob": args["keep_prob"]} if dropout else {}

    def cost(args: Args) -> Any:
        return reference.cost(
            _pairs(args, depth),
            args["X"],
            args["Y"],
            hidden=hidden,
            output=output,
            l2=args["l2"],
            **drops(args),
        )

    def run_reference(args: Args) -> Results:
        params = _pairs(args, depth)
        A, caches = reference.forward(
            params, args["X"], hidden=hidden, output=output, **drops(args)
        )
        grads = reference.backward(params, caches, args["Y"], l2=args["l2"])
        return {
            "A": A,
            "J": cost(args),
            **_named("Z", [cache.Z for cache in caches]),
            **_named("dZ", reference.deltas(params, caches, args["Y"])),
            **_named("dW", [dW for dW, _ in grads]),
            **_named("db", [db for _, db in grads]),
        }

    def run_jaxnet(args: Args, transform: Transform = jax.jit) -> Results:
        loss, lay_out, lay_out_targets = jaxnet_loss(output, len(args["Y"]))
        x, y = layout.rows(args["X"]), lay_out_targets(args["Y"])
        m = len(x)
        penalty = regularizers.l2(args["l2"], m=m)

        def cost(params, offsets):
            forward = models.forward_pass(
                params,
                (),
                x,
                activation=hidden,
                keep_prob=args["keep_prob"] or None,
                key=jax.random.key(args["seed"]),
                train=True,
                offsets=offsets,
            )
            logits = forward.zs[-1][:, 0] if lay_out is layout.targets else forward.zs[-1]
            last = activations.softmax if output == "softmax" else activations.ACTIVATIONS[output]
            return losses.cost(loss(logits, y), penalty(params)), (forward.zs, last(forward.zs[-1]))

        @transform
        def everything(params):
            offsets = [jnp.zeros((m, layer.b.size), layer.b.dtype) for layer in params]
            return jax.value_and_grad(cost, (0, 1), has_aux=True)(params, offsets)

        (total, (zs, a)), (grads, dzs) = everything(layout.layers(_pairs(args, depth)))
        grad_pairs = layout.pairs(grads)
        return {
            "A": layout.columns(a),
            "J": np.asarray(total),
            **_named("Z", map(layout.columns, zs)),
            # The gradient of the mean, by a shift of Z; the reference's dZ is that of the sum.
            **_named("dZ", [m * layout.columns(dz) for dz in dzs]),
            **_named("dW", [dW for dW, _ in grad_pairs]),
            **_named("db", [db for _, db in grad_pairs]),
        }

    def errors(args: Args) -> Results:
        params, m = _pairs(args, depth), args["X"].shape[1]
        Zs, inputs = bounds.forward(params, args["X"], hidden, **drops(args))
        grads = bounds.backward(
            params, Zs, inputs, args["Y"], hidden, output, l2=args["l2"], **drops(args)
        )
        data_cost = bounds.mean(bounds.loss(output, Zs[-1], args["Y"]), axis=1)[0, 0]
        penalty = bounds.l2_penalty([W for W, _ in params], args["l2"], m)[0]
        last = bounds.softmax(Zs[-1]) if output == "softmax" else bounds.activation(output, Zs[-1])
        return {
            "A": last,
            "J": data_cost + penalty,
            **_named("Z", Zs),
            # The division by m and the multiplication that undoes it round once each.
            **_named("dZ", [dZ * m / m for dZ in grads.dZ]),
            **_named("dW", grads.dW),
            **_named("db", grads.db),
        }

    def run_oracle(args: Args) -> Results:
        return oracle.network(
            _pairs(args, depth),
            args["X"],
            args["Y"],
            args["l2"],
            masks(args),
            args["keep_prob"],
            hidden=hidden,
            output=output,
        )

    return Case(
        name=f"networks/{label or f'{hidden}_{output}'}",
        quantity=f"network of {depth} layers, {hidden} inside and {output} at the end"
        + " with L2" * l2
        + " with dropout" * dropout,
        draw=draw,
        reference=run_reference,
        jaxnet=run_jaxnet,
        errors=errors,
        oracle=run_oracle,
        cost=cost,
        wrt=tuple(f"{letter}{layer}" for layer in range(1, depth + 1) for letter in "Wb"),
        analytic=hidden in ("sigmoid", "tanh", "linear"),
    )


def _logistic_row(name: str, gradients: Any) -> Case:
    def draw(rng: np.random.Generator) -> Args:
        n, m = sizes(rng, 2)
        return {
            "w": rng.normal(size=(n, 1)),
            "b": rng.normal(size=()),
            "X": rng.normal(size=(n, m)),
            "Y": draw_targets(rng, "sigmoid", 1, m),
        }

    def cost(args: Args) -> Any:
        return logistic_regression.cost(args["w"], args["b"], args["X"], args["Y"])

    def run_reference(args: Args) -> Results:
        dw, db = gradients(args["w"], args["b"], args["X"], args["Y"])
        A = logistic_regression.forward(args["w"], args["b"], args["X"])
        return {"A": A, "J": cost(args), "dw": dw, "db": db}

    def run_jaxnet(args: Args, transform: Transform = jax.jit) -> Results:
        model = models.logistic_regression(len(args["w"]))
        params = layout.layers([(args["w"].T, args["b"].reshape(1, 1))])
        x, y = layout.rows(args["X"]), layout.targets(args["Y"])

        @transform
        def everything(params):
            def cost(params):
                logits, _ = model.apply(params, (), x)
                return losses.cost(losses.binary_cross_entropy(logits, y)), logits

            return jax.value_and_grad(cost, has_aux=True)(params)

        (total, logits), grads = everything(params)
        ((dW, db),) = layout.pairs(grads)
        return {
            "A": layout.target_row(activations.sigmoid(logits)),
            "J": np.asarray(total),
            "dw": dW.T,
            "db": db[0, 0],
        }

    def errors(args: Args) -> Results:
        params = [(args["w"].T, args["b"].reshape(1, 1))]
        Zs, inputs = bounds.forward(params, args["X"], "linear")
        grads = bounds.backward(params, Zs, inputs, args["Y"], "linear", "sigmoid")
        return {
            "A": bounds.activation("sigmoid", Zs[0]),
            "J": bounds.mean(bounds.loss("sigmoid", Zs[0], args["Y"]), axis=1)[0, 0],
            "dw": grads.dW[0].T,
            "db": grads.db[0][0, 0],
        }

    def run_oracle(args: Args) -> Results:
        results = oracle.network(
            [(args["w"].T, args["b"].reshape(1, 1))],
            args["X"],
            args["Y"],
            0.0,
            [],
            [],
            hidden="linear",
            output="sigmoid",
        )
        return {"J": results["J"], "dw": results["dW1"].T, "db": results["db1"][0, 0]}

    return Case(
        name=f"networks/{name}",
        quantity="logistic regression, its cost and gradient",
        draw=draw,
        reference=run_reference,
        jaxnet=run_jaxnet,
        errors=errors,
        oracle=run_oracle,
        cost=cost,
        wrt=("w", "b"),
        analytic=True,
    )


CASES = (
    _logistic_row("logistic_regression", logistic_regression.gradients),
    _logistic_row("logistic_regression_by_loops", logistic_regression.gradients_loop),
    *(
        _row(hidden, "sigmoid", units=1)
        for hidden in ("relu", "leaky_relu", "tanh", "sigmoid", "linear")
    ),
    *(_row(hidden, output) for hidden in ("relu", "tanh") for output in ("softmax", "linear")),
    _row("linear", "softmax", depth=1, label="softmax_regression"),
    _row("tanh", "linear", depth=2, units=1, label="shallow_regression_of_one_output"),
    _row("tanh", "sigmoid", depth=4, units=1, l2=True, label="tanh_sigmoid_l2"),
    _row("relu", "softmax", l2=True, label="relu_softmax_l2"),
    _row("tanh", "softmax", l2=True, dropout=True, label="tanh_softmax_l2_dropout"),
)
