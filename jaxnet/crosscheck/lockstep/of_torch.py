"""A torch training: module, torch.optim optimizer and loss, as they are, step by step."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxnet.crosscheck.backends import frameworks
from jaxnet.crosscheck.comparison import as_array
from jaxnet.crosscheck.lockstep.training import Arrays, Record, Training
from jaxnet.data import Dataset

LETTERS = {"momentum_buffer": "v", "exp_avg": "v", "exp_avg_sq": "s", "square_avg": "s"}
"""torch's names for what the notes call V and S."""


def of_torch(
    module: Any,
    optimizer: Any,
    loss: Callable[[Any, Any], Any],
    data: Dataset,
    batches: Sequence[Any],
) -> Training:
    """A training of a torch module with a torch optimizer; both are trained, in place.

    loss: (output of the module, y) ↦ the cost, a scalar tensor. data: x is cast to the dtype of
    the parameters, so that the other side should have the same numbers; y becomes int64 if whole.
    Z and A come from forward hooks on the module's leaves: of layer l, its Linear, a BatchNorm1d
    after it in Z's place, and what activation or dropout follows. Linear's weight is W and
    BatchNorm1d's are gamma, beta, mean and var; other parameters keep torch's names. A state of the
    optimizer before its first step, when torch has not made it yet, is shown as nothing.
    Raises ImportError without torch.
    """
    torch = frameworks.torch()
    names, buffers, layers = _layers(torch, module)
    dtype = next(module.parameters()).dtype
    x = torch.tensor(np.asarray(data.x), dtype=dtype)
    whole = np.asarray(data.y).dtype.kind in "iub"
    y = torch.tensor(np.asarray(data.y), dtype=torch.int64 if whole else dtype)

    def batch(number: int) -> Arrays:
        return {"indices": np.asarray(batches[number - 1])}

    def step(number: int, at: Arrays, grads: Arrays | None) -> Record:
        _load(torch, at, names, buffers, optimizer)
        where = torch.tensor(batch(number)["indices"])
        optimizer.zero_grad()
        output, seen = _watched(module, layers, x[where])
        cost = loss(output, y[where])
        cost.backward()
        own = {f"d{name}": _shown(parameter.grad) for name, parameter in names.items()}
        if grads is not None:
            for name, parameter in names.items():
                given = np.array(grads[f"d{name}"]).reshape(parameter.shape)
                parameter.grad = torch.tensor(given, dtype=parameter.dtype)
        optimizer.step()
        seen = seen if layers else {"logits": as_array("output", output)}
        return {
            "batch": batch(number),
            "start": at,
            "forward": {**seen, "J": as_array("cost", cost)},
            "gradient": {name: own[name] for name in _backwards(own)},
            "update": _params(names),
            "state": {**_params(buffers), **_state(names, optimizer)},
        }

    return Training(
        _params(names), {**_params(buffers), **_state(names, optimizer)}, step, len(batches), batch
    )


def _layers(torch: Any, module: Any) -> tuple[Arrays, Arrays, dict[Any, str]]:
    """Parameters by name, running statistics by name, and the modules that show a Z or an A."""
    names: Arrays = {}
    buffers: Arrays = {}
    layers: dict[Any, str] = {}
    number = 0
    for leaf in [one for one in module.modules() if not list(one.children())]:
        if isinstance(leaf, torch.nn.Linear):
            number += 1
            names[f"W{number}"] = leaf.weight
            if leaf.bias is not None:
                names[f"b{number}"] = leaf.bias
            layers[leaf] = f"Z{number}"
        elif isinstance(leaf, torch.nn.BatchNorm1d) and number:
            if leaf.affine:
                names |= {f"gamma{number}": leaf.weight, f"beta{number}": leaf.bias}
            if leaf.track_running_stats:
                statistics = {"mean": leaf.running_mean, "var": leaf.running_var}
                buffers |= {f"{name}{number}": one for name, one in statistics.items()}
            layers[leaf] = f"Z{number}"
        elif number and not list(leaf.parameters()):
            layers[leaf] = f"A{number}"
    known = {id(parameter) for parameter in names.values()}
    for name, parameter in module.named_parameters():
        if id(parameter) not in known:
            names[name] = parameter
    return names, buffers, layers


def _watched(module: Any, layers: dict[Any, str], x: Any) -> tuple[Any, Arrays]:
    """The output, and what each layer gave out; of several in one place, the last."""
    seen: Arrays = {}
    hooks = [
        leaf.register_forward_hook(
            lambda leaf, given, out, name=name: seen.__setitem__(name, as_array(name, out).T)
        )
        for leaf, name in layers.items()
    ]
    output = module(x)
    for hook in hooks:
        hook.remove()
    return output, seen


def _shown(tensor: Any) -> np.ndarray:
    """A parameter in the reference's layout: vectors as columns, weights as they are."""
    array = np.array(as_array("parameter", tensor))
    return array[:, None] if array.ndim == 1 else array


def _params(names: Arrays) -> Arrays:
    return {name: _shown(tensor) for name, tensor in names.items()}


def _backwards(names: Arrays) -> list[str]:
    """The last layer first, W before b."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault("".join(filter(str.isdigit, name)) or name, []).append(name)
    return [name for group in reversed(groups.values()) for name in group]


def _state(names: Arrays, optimizer: Any) -> Arrays:
    """V, S and other arrays by parameter; t once, where all parameters count alike."""
    arrays: Arrays = {}
    counts: Arrays = {}
    for name, parameter in names.items():
        for field, kept in optimizer.state.get(parameter, {}).items():
            if field == "step":
                counts[name] = np.asarray(int(kept))
            elif kept is not None:
                arrays[f"{LETTERS.get(field, field + ' ')}{name}"] = _shown(kept)
    if len({int(count) for count in counts.values()}) == 1:
        return {**arrays, "t": next(iter(counts.values()))}
    return {**arrays, **{f"t {name}": count for name, count in counts.items()}}


def _load(torch: Any, at: Arrays, names: Arrays, buffers: Arrays, optimizer: Any) -> None:
    """Start from given numbers. What torch has no place for yet is zero, as it will make it."""
    with torch.no_grad():
        for name, tensor in {**names, **buffers}.items():
            tensor.copy_(_like(torch, tensor, at[name]))
        for name, parameter in names.items():
            for field, kept in optimizer.state.get(parameter, {}).items():
                if field == "step":
                    count = at.get("t", at.get(f"t {name}"))
                    if count is not None and isinstance(kept, torch.Tensor):
                        kept.fill_(int(count))
                elif kept is not None:
                    given = at.get(f"{LETTERS.get(field, field + ' ')}{name}")
                    if given is not None:
                        kept.copy_(_like(torch, kept, given))


def _like(torch: Any, tensor: Any, given: Any) -> Any:
    return torch.tensor(np.array(given).reshape(tensor.shape), dtype=tensor.dtype)
