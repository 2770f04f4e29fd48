"""torch's own way to the cases: functions and layers, by torch.nn.functional and autograd."""

from functools import partial
from typing import Any

import numpy as np

from jaxnet.crosscheck.backends import frameworks, predicted, with_torch_training
from jaxnet.crosscheck.backends.adapter import (
    BOTH,
    DROPOUT_NETWORK,
    FLOAT64,
    NETWORKS,
    Adapter,
    Backend,
    as_network,
    gathered,
    layer_pairs,
    named,
    of_logistic,
    own_mask,
)
from jaxnet.crosscheck.backends.torch_arrays import columns, numpy, rows, tensor
from jaxnet.crosscheck.cases import batch_norm, networks
from jaxnet.crosscheck.cases.case import Args, Results

ACTIVATIONS = {
    "sigmoid": lambda z, slope: frameworks.torch().sigmoid(z),
    "tanh": lambda z, slope: frameworks.torch().tanh(z),
    "relu": lambda z, slope: frameworks.torch().relu(z),
    "leaky_relu": lambda z, slope: frameworks.torch().nn.functional.leaky_relu(z, slope),
    "linear": lambda z, slope: frameworks.torch().nn.functional.linear(
        z, frameworks.torch().eye(z.shape[1], dtype=z.dtype)
    ),
    "clamp": lambda z, slope: z.clamp(min=0),
}


def _activation(name: str, args: Args, dtype: Any) -> Results:
    z = rows(args["Z"], dtype, learned=True)
    a = ACTIVATIONS[name](z, args["slope"])
    a.sum().backward()
    return {"A": columns(a), "dZ": columns(z.grad)}


def _softmax(args: Args, dtype: Any) -> Results:
    z = rows(args["Z"], dtype, learned=True)
    a = frameworks.torch().softmax(z, dim=1)
    a.backward(rows(args["weights"], dtype))
    return {"A": columns(a), "dZ": columns(z.grad)}


def _per_example(output: str, z: Any, Y: np.ndarray, dtype: Any) -> Any:
    """Loss of each example from the last layer's Z, rows, by the function that torch has."""
    functional = frameworks.torch().nn.functional
    if output == "softmax":
        labels = frameworks.torch().tensor(np.asarray(Y).argmax(axis=0))
        return functional.cross_entropy(z, labels, reduction="none")
    y = rows(Y, dtype)
    if output == "sigmoid":
        return functional.binary_cross_entropy_with_logits(z, y, reduction="none").sum(dim=1)
    return functional.mse_loss(z, y, reduction="none").sum(dim=1) / 2


def _loss(output: str, args: Args, dtype: Any) -> Results:
    z = rows(args["Z"], dtype, learned=True)
    each = _per_example(output, z, args["Y"], dtype)
    each.sum().backward()
    return {"L": numpy(each), "J": numpy(each.mean()), "dZ": columns(z.grad)}


def _of_probabilities(output: str, args: Args, dtype: Any) -> Results:
    torch = frameworks.torch()
    z = rows(args["Z"], dtype)
    if output == "softmax":
        labels = torch.tensor(args["Y"].argmax(axis=0))
        each = torch.nn.functional.nll_loss(torch.softmax(z, 1).log(), labels, reduction="none")
    else:
        each = torch.nn.functional.binary_cross_entropy(
            torch.sigmoid(z), rows(args["Y"], dtype), reduction="none"
        )[:, 0]
    return {"L": numpy(each)}


def _default_reduction(args: Args, dtype: Any) -> Results:
    z = rows(args["Z"], dtype, learned=True)
    total = frameworks.torch().nn.functional.mse_loss(z, rows(args["Y"], dtype))
    total.backward()
    return {"J": numpy(total), "dZ": columns(z.grad)}


def _network(hidden: str, output: str, args: Args, dtype: Any) -> Results:
    torch = frameworks.torch()
    a = rows(args["X"], dtype)
    m = len(a)
    params = [
        (tensor(W, dtype, learned=True), tensor(b[:, 0], dtype, learned=True))
        for W, b in layer_pairs(args)
    ]
    masks = [rows(mask, dtype) for mask in networks.masks(args)] if args["keep_prob"] else []
    zs = []
    for index, (w, b) in enumerate(params):
        z = torch.nn.functional.linear(a, w, b)
        z.retain_grad()
        zs.append(z)
        if index < len(params) - 1:
            a = ACTIVATIONS[hidden](z, 0.01)
            a = a * masks[index] / args["keep_prob"][index] if masks else a
    penalty = args["l2"] / (2 * m) * torch.stack([w.square().sum() for w, _ in params]).sum()
    total = _per_example(output, zs[-1], args["Y"], dtype).mean() + penalty
    total.backward()
    last = {"softmax": partial(torch.softmax, dim=1), "sigmoid": torch.sigmoid}
    return {
        "A": columns(last.get(output, torch.clone)(zs[-1])),
        "J": numpy(total),
        **named("Z", [columns(z) for z in zs]),
        **named("dZ", [m * columns(z.grad) for z in zs]),
        **named("dW", [numpy(w.grad) for w, _ in params]),
        **named("db", [numpy(b.grad)[:, None] for _, b in params]),
    }


def _logistic(args: Args, dtype: Any) -> Results:
    return of_logistic(_network("linear", "sigmoid", as_network(args), dtype))


def _penalty(of_one: Any, args: Args, dtype: Any) -> Results:
    weights = [tensor(W, dtype, learned=True) for W, _ in layer_pairs(args)]
    total = args["lam"] / (2 * args["m"]) * sum(of_one(w).sum() for w in weights)
    total.backward()
    return {"J": numpy(total), **named("dW", [numpy(w.grad) for w in weights])}


def _soft_shrink(args: Args, dtype: Any) -> Results:
    shrink = frameworks.torch().nn.functional.softshrink
    alpha = args["learning_rate"]
    results = {}
    for layer in (1, 2):
        W = tensor(args[f"W{layer}"], dtype) - alpha * tensor(args[f"dW{layer}"], dtype)
        results[f"W{layer}"] = numpy(shrink(W, alpha * args["lam"] / (2 * args["m"])))
    return results


def _dropped(args: Args, dtype: Any) -> Results:
    torch = frameworks.torch()
    a = rows(args["A"], dtype, learned=True)
    with torch.random.fork_rng():  # the caller's random state is left as it was
        torch.manual_seed(0)
        out = torch.nn.functional.dropout(a, 1 - args["keep_prob"], training=True)
    out.backward(rows(args["weights"], dtype))
    return {"out": columns(out), "dA": columns(a.grad)}


def _batch_norm(args: Args, dtype: Any) -> Results:
    z = rows(args["Z"], dtype, learned=True)
    gamma, beta = (tensor(args[name][:, 0], dtype, learned=True) for name in ("gamma", "beta"))
    out = frameworks.torch().nn.functional.batch_norm(
        z, None, None, gamma, beta, training=True, eps=args["eps"]
    )
    out.backward(rows(args["weights"], dtype))
    return {
        "out": columns(out),
        "dZ": columns(z.grad),
        "dgamma": numpy(gamma.grad)[:, None],
        "dbeta": numpy(beta.grad)[:, None],
    }


def _evaluated(args: Args, dtype: Any) -> Results:
    mean, var, gamma, beta = (
        tensor(args[name][:, 0], dtype) for name in ("mean", "var", "gamma", "beta")
    )
    out = frameworks.torch().nn.functional.batch_norm(
        rows(args["Z"], dtype), mean, var, gamma, beta, training=False, eps=args["eps"]
    )
    return {"out": columns(out)}


def _running(args: Args, dtype: Any) -> Results:
    torch = frameworks.torch()
    n = len(args["mean"])
    mean, var = tensor(args["mean"][:, 0], dtype), tensor(args["var"][:, 0], dtype)
    norm = torch.nn.BatchNorm1d(n, momentum=1 - args["decay"], dtype=mean.dtype)
    norm.running_mean, norm.running_var = mean, var
    for Z in args["Z"]:
        norm(rows(Z, dtype))
    return {name: numpy(getattr(norm, f"running_{name}"))[:, None] for name in ("mean", "var")}


def _unbiased(args: Args) -> Results:
    m = args["Z"].shape[2]
    return batch_norm.running_after(args, m / (m - 1))


def _flipped(args: Args, dtype: Any) -> Results:
    image = tensor(args["image"], dtype)
    return {f"axis{axis}": numpy(frameworks.torch().flip(image, (axis,))) for axis in (0, 1)}


FUNCTIONS = {
    **{
        f"activations/{name}": Adapter(partial(_activation, name), dtypes=BOTH)
        for name in ("sigmoid", "tanh", "relu", "leaky_relu", "linear")
    },
    "activations/softmax": Adapter(_softmax, dtypes=BOTH),
    "activations/relu_at_kink": (
        Adapter(partial(_activation, "relu"), note="ReLU′(0) = 0 here too", dtypes=BOTH),
        Adapter(
            partial(_activation, "clamp"),
            variant="clamp",
            note="clamp(min=0) has the derivative 1 at 0",
            predicted=lambda args: predicted.derivative_at_0(args, 1.0, 0.0),
        ),
    ),
    "activations/leaky_relu_at_kink": Adapter(
        partial(_activation, "leaky_relu"),
        note="the derivative at 0 is the slope, here 1",
        predicted=lambda args: predicted.derivative_at_0(args, args["slope"], args["slope"]),
    ),
    "losses/binary_cross_entropy": Adapter(partial(_loss, "sigmoid"), dtypes=BOTH),
    "losses/binary_cross_entropy_of_soft_labels": Adapter(partial(_loss, "sigmoid")),
    "losses/softmax_cross_entropy": Adapter(partial(_loss, "softmax"), dtypes=BOTH),
    "losses/squared_error": Adapter(partial(_loss, "linear"), note="mse_loss halved", dtypes=BOTH),
    "losses/squared_error_of_several_outputs": (
        Adapter(partial(_loss, "linear"), note="mse_loss halved and summed over output units"),
        Adapter(
            _default_reduction,
            variant="default reduction",
            note="no ½, and the mean over output units as well as examples; dZ is of the mean",
            predicted=predicted.mean_over_all_entries,
        ),
    ),
    "losses/binary_cross_entropy_of_probabilities": Adapter(partial(_of_probabilities, "sigmoid")),
    "losses/softmax_cross_entropy_of_probabilities": Adapter(partial(_of_probabilities, "softmax")),
    "networks/logistic_regression": Adapter(_logistic, dtypes=BOTH),
    "networks/logistic_regression_by_loops": Adapter(_logistic),
    **{
        name: Adapter(partial(_network, *kinds), dtypes=BOTH if "softmax" in kinds else FLOAT64)
        for name, kinds in NETWORKS.items()
    },
    **{
        name: Adapter(partial(_network, *kinds), note="the masks are given")
        for name, kinds in DROPOUT_NETWORK.items()
    },
    "regularizers/l2": Adapter(partial(_penalty, lambda w: w.square())),
    "regularizers/l1": Adapter(partial(_penalty, lambda w: w.abs())),
    "regularizers/l1_at_zero": Adapter(
        partial(_penalty, lambda w: w.abs()), note="|w|′(0) = 0 here too"
    ),
    "regularizers/proximal_l1": Adapter(_soft_shrink, note="softshrink of the stepped weights"),
    "regularizers/dropout": Adapter(
        _dropped,
        note="rate 1 − keep_prob; the reference is given torch's mask",
        errors=predicted.dropout_by_rate,
        inject=own_mask(_dropped),
        dtypes=BOTH,
    ),
    "batch_norm/training": Adapter(_batch_norm, dtypes=BOTH),
    "batch_norm/evaluation": Adapter(_evaluated),
    "batch_norm/running_over_batches": Adapter(
        _running,
        note="momentum = 1 − decay, and the variance that is averaged is m/(m − 1) times ours",
        predicted=_unbiased,
    ),
    "data/flip": Adapter(_flipped),
}

BACKEND = Backend("torch", "torch", gathered(FUNCTIONS, with_torch_training.ADAPTERS))
