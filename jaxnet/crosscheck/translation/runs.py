"""The frameworks' own optimizers, built anew from the arguments and run on given gradients.

Each function: (source, start, gradients, …) ↦ the path, for each array all its values, the start
included, shape (steps + 1, *shape). In float64 throughout; what the frameworks keep in a default
dtype is set to float64 for the while.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import jax
import numpy as np

from jaxnet.crosscheck.backends import frameworks
from jaxnet.crosscheck.translation.arguments import IRRELEVANT
from jaxnet.crosscheck.translation.sklearn_rules import batch_size
from jaxnet.crosscheck.translation.source import Schedule, Source

Path: TypeAlias = list[np.ndarray]
Arrays: TypeAlias = Sequence[np.ndarray]


def _path(start: Arrays, steps: list[Arrays]) -> Path:
    return [
        np.stack([first, *(step[i] for step in steps)]).astype(float)
        for i, first in enumerate(start)
    ]


@contextmanager
def _torch_in_float64(torch: Any) -> Iterator[None]:
    """Default dtype float64, and Muon's rounding to bfloat16 left out."""

    class Full(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            if function is torch.Tensor.bfloat16:
                return args[0].clone()
            return function(*args, **(kwargs or {}))

    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with Full():
            yield
    finally:
        torch.set_default_dtype(default)


def run_torch(source: Source, start: Arrays, gradients: list[Arrays]) -> Path:
    """torch.optim's own steps. The arrays belong to the groups in order, as many to each."""
    torch = frameworks.torch()
    with _torch_in_float64(torch):
        values = [torch.tensor(array, dtype=torch.float64) for array in start]
        share = len(values) // len(source.groups)
        groups = [
            {name: value for name, value in group.arguments.items() if name not in IRRELEVANT}
            | {"params": values[i * share : (i + 1) * share]}
            for i, group in enumerate(source.groups)
        ]
        first = {name: value for name, value in groups[0].items() if name != "params"}
        optimizer = getattr(torch.optim, source.name)(groups, **first)
        steps = []
        for arrays in gradients:
            for value, gradient in zip(values, arrays, strict=True):
                value.grad = torch.tensor(gradient, dtype=torch.float64)
            optimizer.step()
            steps.append([value.detach().numpy().copy() for value in values])
    return _path(start, steps)


@contextmanager
def _keras_in_float64(keras: Any) -> Iterator[None]:
    default = keras.config.floatx()
    keras.config.set_floatx("float64")
    try:
        with jax.enable_x64(True), jax.numpy_rank_promotion("allow"):
            yield
    finally:
        keras.config.set_floatx(default)


def _keras_schedule(keras: Any, rate: Callable) -> Any:
    """The rate as keras wants one, at full precision, which keras' own cosines have not."""

    class Given(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return rate(step)

    return Given()


def run_keras(
    source: Source, start: Arrays, gradients: list[Arrays], rate: Callable | None
) -> Path:
    """keras.optimizers' own steps. rate: what its schedule is, minibatch ↦ α, if it has one."""
    keras = frameworks.keras()
    arguments = dict(source.groups[0].arguments)
    with _keras_in_float64(keras):
        if rate is not None:
            arguments["learning_rate"] = _keras_schedule(keras, rate)
        optimizer = getattr(keras.optimizers, source.name)(**arguments)
        variables = [keras.Variable(array, dtype="float64") for array in start]
        optimizer.build(variables)
        values = [variable.value for variable in variables]
        state = [variable.value for variable in optimizer.variables]
        # keras accumulates in a lax.cond, which would be compiled again at each step.
        apply = optimizer.stateless_apply
        apply = jax.jit(apply) if arguments["gradient_accumulation_steps"] else apply
        steps = []
        for arrays in gradients:
            values, state = apply(state, [jax.numpy.asarray(g) for g in arrays], values)
            steps.append([np.asarray(value) for value in values])
    return _path(start, steps)


def keras_rates(schedule: Schedule, counts: Sequence[int]) -> np.ndarray:
    """The keras schedule's own values, in float64."""
    keras = frameworks.keras()
    with _keras_in_float64(keras):
        rate = getattr(keras.optimizers.schedules, schedule.name)(**schedule.arguments)
        return np.array([float(rate(count)) for count in counts])


def run_sklearn(
    source: Source, start: Arrays, gradients: list[Arrays], examples: int | None
) -> Path:
    """scikit-learn's own steps, its penalty on the weights and its epochs included.

    The weights come first, one bias after them. The MLP's `_compute_loss_grad` adds the penalty: it
    is given activations and deltas whose product is the gradient.
    """
    frameworks.sklearn()
    from sklearn import neural_network
    from sklearn.neural_network import _stochastic_optimizers as optimizers

    arguments = dict(source.groups[0].arguments)
    params = [array.copy() for array in start]
    mlp = None
    if source.name.startswith("MLP"):
        mlp = getattr(neural_network, source.name)(**arguments)
        if mlp.solver == "sgd":
            optimizer = optimizers.SGDOptimizer(
                params,
                mlp.learning_rate_init,
                mlp.learning_rate,
                mlp.momentum,
                mlp.nesterovs_momentum,
                mlp.power_t,
            )
        else:
            optimizer = optimizers.AdamOptimizer(
                params, mlp.learning_rate_init, mlp.beta_1, mlp.beta_2, mlp.epsilon
            )
    else:
        optimizer = getattr(optimizers, source.name)(params, **arguments)
    size = batch_size(arguments, examples)
    steps_per_epoch = -(-examples // size) if examples else len(gradients) + 1
    steps, seen = [], 0
    for k, arrays in enumerate(gradients):
        used = list(arrays)
        if mlp is not None:
            last = k % steps_per_epoch == steps_per_epoch - 1
            left = (examples or 0) - (steps_per_epoch - 1) * size
            used = _penalised(mlp, params, arrays, left if last else size)
        optimizer.update_params(params, used)
        if examples and (k + 1) % steps_per_epoch == 0:
            seen += examples
            optimizer.iteration_ends(seen)
        steps.append([param.copy() for param in params])
    return _path(start, steps)


def _penalised(mlp: Any, params: Arrays, gradients: Arrays, rows: int) -> Arrays:
    weights = [param for param in params if param.ndim == 2]
    mlp.coefs_ = weights
    coefs: list[Any] = [None] * len(weights)
    for layer, gradient in enumerate(gradients[: len(weights)]):
        n_in = gradient.shape[0]
        mlp._compute_loss_grad(
            layer,
            rows,
            {layer: np.eye(n_in)},
            {layer: gradient * rows},
            coefs,
            [None] * len(weights),
        )
    return [*coefs, *gradients[len(weights) :]]


def runner(
    source: Source, rate: Callable | None, examples: int | None
) -> Callable[[Arrays, list[Arrays]], Path]:
    """(start, gradients) ↦ the framework's own path."""

    def run(start, gradients):
        if source.framework == "torch":
            return run_torch(source, start, gradients)
        if source.framework == "keras":
            return run_keras(source, start, gradients, rate)
        return run_sklearn(source, start, gradients, examples)

    return run
