"""What there is to translate, as plain data: read from an optimizer object, which is left alone."""

import math
from typing import Any, NamedTuple

import numpy as np

from jaxnet.crosscheck.translation.arguments import (
    HOMES,
    IRRELEVANT,
    KERAS_SCHEDULES,
    REQUIRED,
    TABLES,
)


class Schedule(NamedTuple):
    """A keras learning-rate schedule: the name of its class and every argument."""

    name: str
    arguments: dict[str, Any]


class Group(NamedTuple):
    """Every argument of the optimizer by its framework's name, for `count` parameter arrays."""

    arguments: dict[str, Any]
    count: int


class Source(NamedTuple):
    """An optimizer: framework, class name, and its arguments, once or by parameter group.

    conditions: what an agreement rests on. remarks: what a user should know. obstacle: why there
    can be no translation, found while reading, or "".
    """

    framework: str
    name: str
    groups: tuple[Group, ...]
    conditions: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    obstacle: str = ""


EXPECTED = (
    "a torch.optim, keras.optimizers or scikit-learn MLP optimizer, or its name with arguments "
    'such as "torch.optim.SGD(lr=0.1, momentum=0.9)"'
)

# What torch's schedulers and named parameters leave in a group.
_GROUP_EXTRAS = {"params", "param_names", "initial_lr", "max_lr", "min_lr"}
_GROUP_EXTRAS |= {"base_momentum", "max_momentum", "swa_lr"}


def complete(framework: str, name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Every argument of the optimizer: those given, the documented default of the others.

    Raises ValueError for an argument that it has not, or one that has to be given and is not.
    """
    return _complete(f"{HOMES[framework][0]}.{name}", TABLES[framework][name], given)


def complete_schedule(name: str, given: dict[str, Any]) -> Schedule:
    """The keras schedule with every argument. Raises ValueError as `complete` does."""
    full = _complete(f"keras.optimizers.schedules.{name}", KERAS_SCHEDULES[name], given)
    return Schedule(name, full)


def _complete(path: str, table: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    unknown = [argument for argument in given if argument not in table]
    if unknown:
        raise ValueError(
            f"source: {path} has no argument {unknown[0]!r}; it has {', '.join(table)}. "
            f"Leave {unknown[0]!r} out or correct its name"
        )
    missing = [name for name, default in table.items() if default is REQUIRED and name not in given]
    if missing:
        raise ValueError(f"source: {path} needs its argument {missing[0]!r}; give {missing[0]}=…")
    return {name: plain(given.get(name, default)) for name, default in table.items()}


def plain(value: Any) -> Any:
    """Numbers of any kind as Python's; everything else as it is."""
    if isinstance(value, list) or type(value) is tuple:
        items = [plain(item) for item in value]
        return items if isinstance(value, list) else tuple(items)
    if hasattr(value, "detach"):  # a torch tensor
        return value.detach().cpu().item() if value.numel() == 1 else value
    if isinstance(value, (np.generic, np.ndarray)) and value.size == 1:
        return value.item()
    return value


def read(source: Any) -> Source:
    """The optimizer object as data. Raises TypeError for anything else, saying what to pass."""
    kind = type(source)
    framework, name = kind.__module__.partition(".")[0], kind.__name__
    if kind.__module__.startswith("torch.optim.lr_scheduler"):
        raise TypeError(
            f"source: expected {EXPECTED}, got the scheduler {name}; pass its .optimizer and write "
            f"the rate as an optax schedule"
        )
    homes = {
        "torch": "torch.optim",
        "keras": "keras.src.optimizers",
        "sklearn": "sklearn.neural_network",
    }
    if framework not in homes or not kind.__module__.startswith(homes[framework]):
        bases = [base for base in kind.__mro__[1:] if base.__module__.startswith("torch.optim")]
        also = f", your own subclass of {bases[0].__name__}" if bases else ""
        raise TypeError(f"source: expected {EXPECTED}, got {kind.__module__}.{name}{also}")
    if name not in TABLES[framework]:
        raise TypeError(
            f"source: {kind.__module__}.{name} is no optimizer that is known here; known are "
            f"{', '.join(TABLES[framework])}"
        )
    return {"torch": _read_torch, "keras": _read_keras, "sklearn": _read_sklearn}[framework](
        source, name
    )


def _read_torch(source: Any, name: str) -> Source:
    table = TABLES["torch"][name]
    groups, conditions, remarks, obstacle = [], [], [], ""
    for group in source.param_groups:
        given = {key: value for key, value in group.items() if key in table}
        if name == "Adagrad":  # which starts every group from its default
            given["initial_accumulator_value"] = source.defaults["initial_accumulator_value"]
        groups.append(Group(complete("torch", name, given), len(group["params"])))
        known = _GROUP_EXTRAS | set(table) | {"decoupled_weight_decay", *IRRELEVANT}
        for key in group.keys() - known:
            remarks.append(f"the group's own key {key!r} is no argument of torch.optim.{name}")
        if "initial_lr" in group:
            conditions.append(f"the rate stays at {plain(group['lr'])!r}")
            remarks.append("a torch scheduler has set the rate; write it as an optax schedule")
        if any(value.is_complex() for value in group["params"]):
            obstacle = (
                "torch treats a complex parameter as two real ones, optax takes |g|²; split the "
                "parameters into real and imaginary parts first"
            )
    # Adagrad fills its state in at once; it counts steps, what does not has taken one.
    if any(state and plain(state.get("step", 1)) > 0 for state in source.state.values()):
        remarks.append("the optimizer's state is not carried over: the translation starts anew")
    hooks = (getattr(source, f"_optimizer_step_{when}_hooks", None) for when in ("pre", "post"))
    if any(hooks):
        conditions.append("the hooks registered on it change nothing")
    return Source("torch", name, _merged(groups), tuple(conditions), tuple(remarks), obstacle)


def _merged(groups: list[Group]) -> tuple[Group, ...]:
    """One group where all have the same arguments, apart from those that change no step."""
    told = [
        {name: value for name, value in group.arguments.items() if name not in IRRELEVANT}
        for group in groups
    ]
    if all(arguments == told[0] for arguments in told):
        return (Group(groups[0].arguments, sum(group.count for group in groups)),)
    return tuple(groups)


def _decimal(variable: Any) -> float:
    # keras keeps the rate in floatx(): the shortest decimal that rounds to it is what was given.
    return float(str(np.asarray(variable.value)[()]))


def _keras_rate(rate: Any) -> Any:
    if type(rate).__module__.startswith("keras") and type(rate).__name__ in KERAS_SCHEDULES:
        return complete_schedule(type(rate).__name__, rate.get_config())
    if hasattr(rate, "value"):
        return _decimal(rate)
    return rate


def _read_keras(source: Any, name: str) -> Source:
    table = TABLES["keras"][name]
    given = {key: getattr(source, key) for key in table if key not in ("learning_rate", "name")}
    given["name"] = None
    if "learning_rate" in table:
        given["learning_rate"] = _keras_rate(source._learning_rate)
    # keras fills an empty list in, and tracks it.
    if "exclude_layers" in table:
        given["exclude_layers"] = list(given["exclude_layers"]) or None
    remarks, obstacle = (), ""
    if int(np.asarray(source._iterations.value)) > 0:
        remarks = ("the optimizer's state is not carried over: the translation starts anew",)
    excluded = getattr(source, "_exclude_from_weight_decay", None)
    pattern = getattr(source, "_exclude_from_weight_decay_pattern", None)
    if excluded or pattern:
        obstacle = (
            "exclude_from_weight_decay() picks variables by identity or name, which an optax tree "
            "has not: translate the optimizer without it and give optax.add_decayed_weights a mask"
        )
    groups = (Group(complete("keras", name, given), 0),)
    return Source("keras", name, groups, remarks=remarks, obstacle=obstacle)


def _read_sklearn(source: Any, name: str) -> Source:
    remarks = ()
    if hasattr(source, "get_params"):
        given = source.get_params()
        started = hasattr(source, "_optimizer")
    else:
        given = {key: getattr(source, key) for key in TABLES["sklearn"][name]}
        slots = source.velocities if name == "SGDOptimizer" else source.ms
        started = any(np.any(slot) for slot in slots)
    if started:
        remarks = ("the optimizer's state is not carried over: the translation starts anew",)
    return Source("sklearn", name, (Group(complete("sklearn", name, given), 0),), remarks=remarks)


def check_values(source: Source) -> None:
    """Raise ValueError, naming the argument, for a value of another kind than its default has."""
    table = TABLES[source.framework][source.name]
    for group in source.groups:
        for name, value in group.arguments.items():
            expected = _expected(name, table[name], value)
            if expected:
                raise ValueError(
                    f"source: expected {expected} for {name} of {HOMES[source.framework][0]}."
                    f"{source.name}, got {value!r}"
                )


def _expected(name: str, default: Any, value: Any) -> str:
    """What was expected instead of the value, or "" where it will do."""
    if name in ("learning_rate", "hidden_layer_sizes", "batch_size", "name"):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return "" if not number or (math.isfinite(value) and value >= 0) else "a finite number ≥ 0"
    if isinstance(default, bool):
        return "" if value in (True, False) else "True or False"
    if isinstance(default, tuple):
        fits = isinstance(value, (tuple, list)) and len(value) == len(default)
        numbers = fits and all(v is None or _is_number(v) for v in value)
        return "" if numbers else f"{len(default)} finite numbers"
    if isinstance(default, (int, float)) and value is not None:
        if name == "n_iter_no_change" and value == math.inf:
            return ""
        if not _is_number(value):
            return "a finite number"
        rate = name in ("lr", "learning_rate_init")
        return "a number ≥ 0" if rate and value < 0 else ""
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
