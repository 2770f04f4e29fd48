"""torch's own way to the cases: torch.optim, schedules, clipping, initial weights, trainings."""

from functools import partial
from typing import Any

import numpy as np

from jaxnet.crosscheck import layout, transfer
from jaxnet.crosscheck.backends import frameworks, predicted
from jaxnet.crosscheck.backends.adapter import BOTH, Adapter
from jaxnet.crosscheck.backends.torch_arrays import numpy, rows, tensor
from jaxnet.crosscheck.cases import clipping, laws, rules, trainings
from jaxnet.crosscheck.cases.case import Args, Results


def _optimizer(rule: str, numbers: Args, params: Any, rate: float) -> Any:
    """torch.optim's form of a rule of the notes, its learning rate mapped."""
    optim = frameworks.torch().optim
    if rule == "gradient_descent":
        return optim.SGD(params, lr=rate)
    if rule == "momentum":
        return optim.SGD(params, lr=rate, momentum=numbers["beta"])
    if rule == "rmsprop":
        return optim.RMSprop(params, lr=rate, alpha=numbers["beta"], eps=numbers["eps"])
    betas = (numbers["b1"], numbers["b2"])
    return optim.Adam(params, lr=rate, betas=betas, eps=numbers["eps"])


def _mapped(rule: str, numbers: Args, rate: float) -> float:
    """torch's velocity is a sum: α(1−β) makes its steps those of the average."""
    return rate * (1 - numbers["beta"]) if rule == "momentum" else rate


def _steps(make: Any, rate_of: Any, args: Args, dtype: Any) -> Results:
    """W and b after every step, from given gradients and rates."""
    params = [tensor(args[name], dtype, learned=True) for name in ("W", "b")]
    optimizer = make(params)
    path = []
    for dW, db, rate in zip(args["dW"], args["db"], args["rates"], strict=True):
        for param, gradient in zip(params, (dW, db), strict=True):
            param.grad = tensor(gradient, dtype)
        for group in optimizer.param_groups:
            group["lr"] = rate_of(float(rate))
        optimizer.step()
        path.append([numpy(param) for param in params])
    return {
        name: np.stack(steps) for name, steps in zip("Wb", zip(*path, strict=True), strict=True)
    }


def _run(rule: str, args: Args, dtype: Any) -> Results:
    return _steps(
        lambda params: _optimizer(rule, args, params, 0.0),
        partial(_mapped, rule, args),
        args,
        dtype,
    )


def _run_sgd(options: Any, args: Args, dtype: Any) -> Results:
    sgd = frameworks.torch().optim.SGD
    return _steps(lambda p: sgd(p, lr=0.0, **options(args)), lambda rate: rate, args, dtype)


def _decayed(args: Args, dtype: Any, *, biases: bool) -> Results:
    """One step of SGD with weight_decay λ/m, on the weights or on everything."""
    torch = frameworks.torch()
    names = [f"{letter}{layer}" for layer in (1, 2) for letter in "Wb"]
    params = {name: tensor(args[name], dtype, learned=True) for name in names}
    decay = args["lam"] / args["m"]
    groups = [
        {"params": [param], "weight_decay": decay if biases or name[0] == "W" else 0.0}
        for name, param in params.items()
    ]
    for name, param in params.items():
        param.grad = tensor(args[f"d{name}"], dtype)
    torch.optim.SGD(groups, lr=args["learning_rate"]).step()
    return {name: numpy(param) for name, param in params.items()}


def _clipped(clip: str, args: Args, dtype: Any) -> Results:
    utils = frameworks.torch().nn.utils

    def one(grads: Any) -> Any:
        params = [tensor(0 * g, dtype, learned=True) for g in grads]
        for param, g in zip(params, grads, strict=True):
            param.grad = tensor(g, dtype)
        getattr(utils, clip)(params, args["limit"])
        return tuple(numpy(param.grad) for param in params)

    return clipping.both(args, one)


def _rates(make: Any, args: Args, dtype: Any) -> Results:
    """The learning rate in force at every step, the scheduler stepped once an epoch."""
    del dtype
    optimizer = frameworks.torch().optim.SGD([tensor([0.0], float)], lr=args["learning_rate"])
    scheduler = make(frameworks.torch().optim.lr_scheduler, optimizer, args)
    rates = []
    for step in args["steps"]:
        if step and step % args["steps_per_epoch"] == 0:
            optimizer.step()
            scheduler.step()
        rates.append(optimizer.param_groups[0]["lr"])
    return {"alpha": np.array(rates)}


def _drawn(fill: Any, scheme: str, args: Args, dtype: Any) -> Results:
    torch = frameworks.torch()
    n_in, n_out = args["sizes"]
    generator = torch.Generator().manual_seed(args["seed"])
    W = torch.empty(n_out, n_in, dtype=getattr(torch, dtype))
    fill(torch.nn.init, W, generator)
    return laws.statistics(numpy(W), scheme)


def _default_linear(args: Args, dtype: Any) -> Results:
    """The weights of torch.nn.Linear as it comes."""
    torch = frameworks.torch()
    with torch.random.fork_rng():
        torch.manual_seed(args["seed"])
        layer = torch.nn.Linear(*args["sizes"], dtype=getattr(torch, dtype))
    return laws.statistics(numpy(layer.weight), "xavier")


def _train(rule: str, args: Args, dtype: Any) -> Results:
    torch = frameworks.torch()
    params = layout.layers(trainings.pairs(args), np.dtype(dtype))
    module = transfer.to_torch(params, activation="tanh")
    numbers = args["numbers"]
    weights = [one for name, one in module.named_parameters() if name.endswith("weight")]
    biases = [one for name, one in module.named_parameters() if name.endswith("bias")]
    decay = args["l2"] / trainings.BATCH
    groups = [{"params": weights, "weight_decay": decay}, {"params": biases}]
    rate = _mapped(rule, numbers, args["learning_rate"])
    optimizer = _optimizer(rule, numbers, groups, rate)
    x, labels = rows(args["X"], dtype), torch.tensor(args["Y"].argmax(axis=0))
    for batch in torch.tensor(args["batches"]):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(module(x[batch]), labels[batch]).backward()
        optimizer.step()
    return trainings.results(args, layout.pairs(transfer.from_torch(module)))


MAPPED = "α(1 − β) for α, as the velocity is a sum"

ADAPTERS = {
    "optimizers/gradient_descent": Adapter(partial(_run, "gradient_descent"), dtypes=BOTH),
    "optimizers/momentum": (
        Adapter(partial(_run, "momentum"), note=MAPPED, dtypes=BOTH),
        Adapter(
            partial(_run_sgd, lambda args: {"momentum": args["beta"]}),
            variant="same α",
            note="V := βV + dW, a sum and not an average: the steps are 1/(1 − β) as long",
            predicted=lambda args: rules.path(rules.trace(args), args),
        ),
        Adapter(
            partial(_run_sgd, lambda args: {"momentum": args["beta"], "dampening": args["beta"]}),
            variant="dampening",
            note="dampening = β is the average, but its first gradient is undamped",
            predicted=lambda args: rules.path(rules.dampened(args), args),
        ),
    ),
    "optimizers/momentum_at_constant_rate": Adapter(partial(_run, "momentum"), note=MAPPED),
    "optimizers/rmsprop": Adapter(partial(_run, "rmsprop"), note="ε outside the root", dtypes=BOTH),
    "optimizers/adam": Adapter(partial(_run, "adam"), dtypes=BOTH),
    "regularizers/weight_decay": (
        Adapter(partial(_decayed, biases=False), note="weight_decay = λ/m, on weights only"),
        Adapter(
            partial(_decayed, biases=True),
            variant="one parameter group",
            note="weight_decay falls on the biases too",
            predicted=predicted.decayed_everywhere,
        ),
    ),
    "clipping/global_norm": Adapter(
        partial(_clipped, "clip_grad_norm_"),
        note="g · min(1, c/(‖g‖ + 1e-6))",
        predicted=lambda args: clipping.global_norm_values(args, 1e-6),
    ),
    "clipping/value": Adapter(partial(_clipped, "clip_grad_value_")),
    "schedules/exponential": Adapter(
        partial(_rates, lambda kinds, o, args: kinds.ExponentialLR(o, gamma=args["base"])),
        note="ExponentialLR, stepped once an epoch",
    ),
    "schedules/staircase": Adapter(
        partial(
            _rates,
            lambda kinds, o, args: kinds.StepLR(
                o, step_size=args["epochs_per_stair"], gamma=args["factor"]
            ),
        ),
        note="StepLR, stepped once an epoch",
    ),
    "initializers/law_of_normal": Adapter(
        partial(_drawn, lambda init, w, g: init.normal_(w, std=0.01, generator=g), "normal")
    ),
    "initializers/law_of_he": (
        Adapter(
            partial(
                _drawn,
                lambda init, w, g: init.kaiming_normal_(w, nonlinearity="relu", generator=g),
                "he",
            ),
            note="kaiming_normal_",
        ),
        Adapter(
            partial(
                _drawn,
                lambda init, w, g: init.kaiming_uniform_(w, nonlinearity="relu", generator=g),
                "he",
            ),
            variant="uniform",
            note="kaiming_uniform_: the same variance, uniform",
            predicted=partial(laws.sampled, laws.uniform()),
        ),
    ),
    "initializers/law_of_xavier": Adapter(
        _default_linear,
        variant="Linear's default",
        note="U(±1/√n_in): a third of the variance 1/n_in, uniform (and the biases alike, not 0)",
        predicted=partial(laws.sampled, laws.uniform(1 / 3)),
    ),
    "initializers/law_of_glorot": (
        Adapter(
            partial(_drawn, lambda init, w, g: init.xavier_normal_(w, generator=g), "glorot"),
            note="xavier_normal_",
        ),
        Adapter(
            partial(_drawn, lambda init, w, g: init.xavier_uniform_(w, generator=g), "glorot"),
            variant="uniform",
            note="xavier_uniform_: the same variance, uniform",
            predicted=partial(laws.sampled, laws.uniform()),
        ),
    ),
    **{
        f"trainings/{rule}": Adapter(partial(_train, rule), note=MAPPED * (rule == "momentum"))
        for rule in trainings.NOTES
    },
    "trainings/gradient_descent_l2": Adapter(
        partial(_train, "gradient_descent"), note="weight_decay = λ/m on the weights"
    ),
}
