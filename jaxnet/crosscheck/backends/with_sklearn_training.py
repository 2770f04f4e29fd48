"""scikit-learn's own way to the cases: its optimizers, first weights, and trainings.

The optimizers are a private module, but they are the ones; trainings go through partial_fit.
"""

from functools import partial
from typing import Any

import numpy as np

from jaxnet.crosscheck import layout, transfer
from jaxnet.crosscheck.backends import frameworks
from jaxnet.crosscheck.backends.adapter import Adapter
from jaxnet.crosscheck.cases import laws, rules, trainings
from jaxnet.crosscheck.cases.case import Args, Results


def _stepped(rule: str, args: Args, dtype: Any) -> Results:
    """W and b after every step, from given gradients and rates."""
    frameworks.sklearn()
    from sklearn.neural_network import _stochastic_optimizers as kinds

    params = [np.array(args[name], dtype=dtype) for name in ("W", "b")]
    if rule == "adam":
        numbers = {"beta_1": args["b1"], "beta_2": args["b2"], "epsilon": args["eps"]}
        optimizer = kinds.AdamOptimizer(params, **numbers)
    else:
        optimizer = kinds.SGDOptimizer(params, momentum=args.get("beta", 0.0), nesterov=False)
    path = []
    for dW, db, rate in zip(args["dW"], args["db"], args["rates"], strict=True):
        rate = float(rate) * (1 - args["beta"]) if "beta" in args else float(rate)
        if rule == "adam":
            optimizer.learning_rate_init = rate
        else:
            optimizer.learning_rate = rate
        optimizer.update_params(params, [dW.astype(dtype), db.astype(dtype)])
        path.append([one.copy() for one in params])
    W, b = zip(*path, strict=True)
    return {"W": np.stack(W), "b": np.stack(b)}


def _drawn(args: Args, dtype: Any) -> Results:
    frameworks.sklearn()
    from sklearn.neural_network import MLPRegressor

    n_in, n_out = args["sizes"]
    estimator = MLPRegressor(hidden_layer_sizes=(n_out,), alpha=0.0, random_state=args["seed"])
    # Zeros in, no penalty: the gradient by the first weights is 0 and they stay as drawn.
    estimator.partial_fit(np.zeros((2, n_in), dtype), np.zeros(2))
    return laws.statistics(layout.columns(estimator.coefs_[0]), "glorot")


SOLVERS = {
    "gradient_descent": lambda numbers: {"solver": "sgd", "momentum": 0.0},
    "momentum": lambda numbers: {
        "solver": "sgd",
        "momentum": numbers["beta"],
        "nesterovs_momentum": False,
    },
    "adam": lambda numbers: {
        "solver": "adam",
        "beta_1": numbers["b1"],
        "beta_2": numbers["b2"],
        "epsilon": numbers["eps"],
    },
}


def _train(rule: str, args: Args, dtype: Any) -> Results:
    numbers, rate = args["numbers"], args["learning_rate"]
    estimator = transfer.to_sklearn(
        layout.layers(trainings.pairs(args), dtype),
        activation="tanh",
        alpha=args["l2"],
        batch_size=trainings.BATCH,
        learning_rate_init=rate * (1 - numbers["beta"]) if rule == "momentum" else rate,
        **SOLVERS[rule](numbers),
    )
    X, y = np.ascontiguousarray(args["X"].T, dtype=dtype), args["Y"].argmax(axis=0)
    for batch in args["batches"]:
        estimator.partial_fit(X[batch], y[batch])
    return trainings.results(args, layout.pairs(transfer.from_sklearn(estimator)))


ADAPTERS = {
    "optimizers/gradient_descent": Adapter(partial(_stepped, "gradient_descent")),
    "optimizers/momentum": Adapter(
        partial(_stepped, "momentum"),
        note="α is inside the velocity: V := βV + α(1 − β)dW, W := W − V",
        predicted=lambda args: rules.path(rules.rate_inside(args), args),
    ),
    "optimizers/momentum_at_constant_rate": Adapter(
        partial(_stepped, "momentum"), note="α(1 − β) for α, as the velocity is a sum"
    ),
    "optimizers/adam": Adapter(
        partial(_stepped, "adam"),
        note="ε̂ beside the uncorrected root: ε = ε̂/√(1 − β₂ᵗ), no constant",
        predicted=lambda args: rules.path(rules.adam_hat(args), args),
    ),
    "initializers/law_of_glorot": Adapter(
        _drawn,
        variant="MLP's",
        note="U(±√(6/(n_in + n_out))): the same variance, uniform (and the biases alike, not 0)",
        predicted=partial(laws.sampled, laws.uniform()),
    ),
    "trainings/gradient_descent": Adapter(partial(_train, "gradient_descent"), note="partial_fit"),
    "trainings/gradient_descent_l2": Adapter(
        partial(_train, "gradient_descent"), note="partial_fit, alpha = λ"
    ),
    "trainings/momentum": Adapter(partial(_train, "momentum"), note="partial_fit, α(1 − β) for α"),
    "trainings/adam": Adapter(
        partial(_train, "adam"),
        note="ε̂ beside the uncorrected root: ε = ε̂/√(1 − β₂ᵗ)",
        predicted=lambda args: trainings.followed(args, trainings.ADAM_HAT),
    ),
}
