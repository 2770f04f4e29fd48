"""scikit-learn's own way to the cases: its estimators, and the functions that they are made of.

Gradients are read off one step of plain SGD at rate 1 from given weights, which partial_fit takes;
activations, losses and optimizers are private modules of scikit-learn, but they are the ones.
"""

from functools import partial
from typing import Any

import numpy as np

from jaxnet.crosscheck import bounds, layout, transfer
from jaxnet.crosscheck.backends import frameworks, with_sklearn_training
from jaxnet.crosscheck.backends.adapter import (
    BOTH,
    NETWORKS,
    Adapter,
    Backend,
    as_network,
    gathered,
    layer_pairs,
    named,
    of_logistic,
)
from jaxnet.crosscheck.cases import CASES
from jaxnet.crosscheck.cases.case import Args, Results


def _base() -> Any:
    frameworks.sklearn()
    from sklearn.neural_network import _base

    return _base


def _activation(name: str, args: Args, dtype: Any) -> Results:
    base = _base()
    kind = transfer.SKLEARN_ACTIVATIONS[name]
    A = np.array(args["Z"].T, dtype=dtype)
    base.ACTIVATIONS[kind](A)
    delta = np.ones_like(A)
    base.DERIVATIVES[kind](A, delta)
    return {"A": layout.columns(A), "dZ": layout.columns(delta)}


def _softmax(args: Args, dtype: Any) -> Results:
    A = np.array(args["Z"].T, dtype=dtype)
    _base().ACTIVATIONS["softmax"](A)
    return {"A": layout.columns(A)}


def _log_loss(args: Args, dtype: Any) -> Results:
    """metrics.log_loss of every example by itself, from probabilities."""
    frameworks.sklearn()
    from sklearn.metrics import log_loss

    A = np.array(args["Z"].T, dtype=dtype)
    binary = A.shape[1] == 1
    _base().ACTIVATIONS["logistic" if binary else "softmax"](A)
    known = [0, 1] if binary else list(range(A.shape[1]))
    y = args["Y"][0] if binary else args["Y"].argmax(axis=0)
    each = [
        log_loss([label], row if binary else [row], labels=known)
        for label, row in zip(y, A, strict=True)
    ]
    return {"L": np.array(each)}


def _estimator(args: Args, dtype: Any, activation: str, output: str, **options: Any) -> Any:
    params = layout.layers(layer_pairs(args), dtype)
    return transfer.to_sklearn(params, activation=activation, output=output, **options)


def _targets(output: str, Y: np.ndarray) -> np.ndarray:
    if output == "softmax":
        return Y.argmax(axis=0)
    y = Y[0] if len(Y) == 1 else Y.T
    return y.astype(int) if output == "sigmoid" else y


def _outputs(estimator: Any, X: np.ndarray, output: str) -> np.ndarray:
    """A of the last layer (n_out, m)."""
    if output == "linear":
        out = estimator.predict(X)
        return out[None, :] if out.ndim == 1 else out.T
    probabilities = estimator.predict_proba(X)
    return probabilities[:, 1:].T if output == "sigmoid" else probabilities.T


def _network(hidden: str, output: str, args: Args, dtype: Any) -> Results:
    X = np.ascontiguousarray(args["X"].T, dtype=dtype)
    estimator = _estimator(
        args,
        dtype,
        hidden,
        output,
        solver="sgd",
        learning_rate_init=1.0,
        momentum=0.0,
        batch_size=len(X),
        alpha=args["l2"],
    )
    before = transfer.from_sklearn(estimator)
    A = _outputs(estimator, X, output)
    estimator.partial_fit(X, _targets(output, args["Y"]))
    after = transfer.from_sklearn(estimator)
    steps = [(old.w - new.w, old.b - new.b) for old, new in zip(before, after, strict=True)]
    results = {
        "A": A,
        **named("dW", [layout.columns(dw) for dw, _ in steps]),
        **named("db", [layout.column(db) for _, db in steps]),
    }
    # For several real outputs the cost is another row.
    several = output == "linear" and len(args["Y"]) > 1
    return results if several else {**results, "J": np.asarray(estimator.loss_)}


def _cost_of_several(args: Args, dtype: Any) -> Results:
    X = np.ascontiguousarray(args["X"].T, dtype=dtype)
    options = {"solver": "sgd", "batch_size": len(X), "alpha": 0.0}
    estimator = _estimator(args, dtype, "relu", "linear", **options)
    return {"J": np.asarray(estimator.partial_fit(X, args["Y"].T).loss_)}


def _mean_over_outputs(args: Args) -> Results:
    """½ the mean square over examples and output units."""
    Zs, _ = bounds.forward(layer_pairs(args), args["X"], "relu")
    apart = Zs[-1] - args["Y"]
    return {"J": 0.5 * bounds.mean(apart * apart)[0, 0]}


def _logistic(args: Args, dtype: Any) -> Results:
    return of_logistic(_network("linear", "sigmoid", as_network(args), dtype))


def _read_off_a_step(name: str, args: Args) -> Results:
    """The case's errors, with those of how the results are come by.

    dW = W − (W − dW) rounds W − dW and the difference once each. The cost is taken from
    probabilities: an a that is off by e is off by e/a in log a, and by e/(1 − a) in log(1 − a).
    """
    case = next(case for case in CASES if case.name == name)
    errors, values = dict(case.errors(args)), case.reference(args)
    for key in [key for key in errors if key[0] == "d" and key[1] in "Wwb"]:
        dW = values[key]
        errors[key] = errors[key].error + np.abs(args[key[1:]] - dW) + np.abs(dW)
    A, Y = values["A"], args["Y"]
    if len(A) == 1:
        through = Y / A + (1 - Y) / (1 - A)
    else:
        through = np.divide(Y, A, out=np.zeros_like(A), where=Y > 0)
    errors["J"] = errors["J"].error + (errors["A"].error * through).sum() / A.shape[1]
    return errors


def _scaled(args: Args, dtype: Any) -> Results:
    frameworks.sklearn()
    from sklearn.preprocessing import StandardScaler

    X, X_test = (args[name].T.astype(dtype) for name in ("X", "X_test"))
    scaler = StandardScaler().fit(X)
    return {
        "mu": layout.column(scaler.mean_),
        "sigma": layout.column(scaler.scale_),
        "X": layout.columns(scaler.transform(X)),
        "X_test": layout.columns(scaler.transform(X_test)),
    }


def _batch_sizes(args: Args, dtype: Any) -> Results:
    del dtype
    frameworks.sklearn()
    from sklearn.utils import gen_batches

    m = args["X"].shape[1]
    return {"sizes": np.array([one.stop - one.start for one in gen_batches(m, args["batch_size"])])}


FUNCTIONS = {
    **{
        f"activations/{name}": Adapter(partial(_activation, name))
        for name in ("tanh", "relu", "linear")
    },
    "activations/sigmoid": Adapter(
        partial(_activation, "sigmoid"),
        note="σ′ from the rounded σ as σ(1 − σ)",
    ),
    "activations/softmax": Adapter(_softmax),
    "activations/relu_at_kink": Adapter(
        partial(_activation, "relu"), note="ReLU′(0) = 0 here too", dtypes=BOTH
    ),
    **{
        f"losses/{name}_of_probabilities": Adapter(_log_loss, note="metrics.log_loss")
        for name in ("binary_cross_entropy", "softmax_cross_entropy")
    },
    "networks/logistic_regression": Adapter(
        _logistic,
        note="gradients from one step of partial_fit",
        errors=partial(_read_off_a_step, "networks/logistic_regression"),
    ),
    **{
        name: Adapter(
            partial(_network, *kinds),
            note="gradients from one step of partial_fit" + ", alpha = λ" * ("l2" in name),
            errors=partial(_read_off_a_step, name),
        )
        for name, kinds in NETWORKS.items()
        if kinds[0] in transfer.SKLEARN_ACTIVATIONS
    },
    "data/normalization": Adapter(_scaled, note="StandardScaler"),
    "data/partition": Adapter(_batch_sizes, note="gen_batches: the sizes alone"),
}

COST_OF_SEVERAL = {
    "networks/relu_linear": Adapter(
        _cost_of_several,
        variant="loss_",
        note="the cost is the mean over output units too, while the gradient is of their sum",
        predicted=_mean_over_outputs,
    )
}

BACKEND = Backend(
    "scikit-learn", "sklearn", gathered(FUNCTIONS, COST_OF_SEVERAL, with_sklearn_training.ADAPTERS)
)
