"""Rows 13 and 14: what λ is multiplied by, and whether biases are penalised."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import reference_numpy as ref
from jaxnet.crosscheck.backends import frameworks
from jaxnet.crosscheck.differences.difference import (
    AGREE,
    AGREE_IF,
    Check,
    Difference,
    agree,
    default,
    differ,
)
from jaxnet.crosscheck.differences.trajectories import (
    RATE,
    by_optax,
    gradients,
    parameters,
)

DECAY, BETA = 0.25, 0.9
TOPIC = "decay, clipping, accumulation"


# Row 13: what λ is multiplied by.

M, LAM = 7, 0.5


def _weights(shape: tuple[int, int] = (4, 5)) -> np.ndarray:
    return np.random.default_rng(3).standard_normal(shape)


def _textbook_penalty(W: np.ndarray) -> tuple[float, np.ndarray]:
    params = [(W, np.zeros((len(W), 1)))]
    cost = ref.regularizers.l2_cost(params, LAM, M)
    return float(cost), ref.regularizers.l2_gradient(params, LAM, M)[0][0]


def _l2_keras() -> list[Check]:
    W = _weights()
    cost, dW = _textbook_penalty(W)

    def penalty(l2):
        value, slope = jax.value_and_grad(frameworks.keras().regularizers.L2(l2))(jnp.asarray(W))
        return {"J": np.asarray(value), "dW": np.asarray(slope)}

    # keras holds l2 in float32 where it multiplies: its rounding and one more.
    bound = 2 * 2.0**-24
    scale = {"J": bound * cost, "dW": bound * np.abs(dW).max()}
    right = {"J": np.asarray(cost), "dW": dW}
    return [
        agree("l2 = λ/(2m)", penalty(LAM / (2 * M)), right, bound=scale),
        differ("l2 = λ/m", penalty(LAM / M), right, bound=scale),
    ]


def _sklearn_network(alpha: float) -> tuple[Any, Any, dict[str, Any], dict[str, Any]]:
    """Data, a network of scikit-learn and the gradient of its cost, from an update with rate 1."""
    from sklearn.neural_network import MLPRegressor

    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((M, 5)), rng.standard_normal(M)
    # Any, as the annotation of batch_size knows of "auto" only.
    make: Any = MLPRegressor
    network = make(
        hidden_layer_sizes=(4,), activation="identity", solver="sgd", alpha=alpha, batch_size=M,
        learning_rate_init=1.0, momentum=0.0, nesterovs_momentum=False, shuffle=False,
        random_state=0,
    )  # fmt: skip
    network.partial_fit(x, y)
    before = [p.copy() for p in (*network.coefs_, *network.intercepts_)]
    network.partial_fit(x, y)
    after = [p.copy() for p in (*network.coefs_, *network.intercepts_)]
    # Two layers, so W1, W2, b1, b2. Without momentum the update is minus the gradient.
    names = ("W1", "W2", "b1", "b2")
    grads = {name: old - new for name, old, new in zip(names, before, after, strict=True)}
    return x, y, dict(zip(names, before, strict=True)), grads


def _linear_gradient(x: Any, y: Any, params: dict[str, Any], lam: float) -> dict[str, Any]:
    """Gradient of 1/(2m) Σ (ŷ − y)² + λ/(2m) Σ‖W‖² by the reference's own backward pass."""
    layers = [(params[f"W{i}"].T, params[f"b{i}"][:, None]) for i in (1, 2)]
    X, Y = x.T, y[None, :]
    _, caches = ref.mlp.forward(layers, X, hidden="linear", output="linear")
    grads = ref.mlp.backward(layers, caches, Y, l2=lam)
    return {
        name: value
        for i, (dW, db) in enumerate(grads, start=1)
        for name, value in ((f"W{i}", dW.T), (f"b{i}", db[:, 0]))
    }


def _l2_sklearn() -> list[Check]:
    x, y, params, grads = _sklearn_network(LAM)
    return [
        agree("α = λ on all examples", grads, _linear_gradient(x, y, params, LAM)),
        differ(
            "α = λ/m", _sklearn_network(LAM / M)[3], _linear_gradient(x, y, params, LAM)
        ),
    ]  # fmt: skip


def _l2_decay() -> list[Check]:
    # Pulled by the penalty alone: J = λ/(2m) ‖W‖².
    W = parameters()
    path = np.stack([W := W - RATE * LAM / M * W for _ in range(20)])

    def decayed(rate):
        return optax.chain(optax.add_decayed_weights(rate), optax.sgd(RATE))

    none = np.zeros_like(gradients())
    return [
        agree("weight_decay = λ/m", by_optax(decayed(LAM / M), none), path),
        differ("weight_decay = λ", by_optax(decayed(LAM), none), path),
    ]


# Row 14: biases.


def _layer() -> dict[str, jax.Array]:
    return {"w": jnp.asarray(_weights()), "b": jnp.arange(1.0, 5.0)}


def _textbook_decay(layer: dict[str, jax.Array]) -> dict[str, np.ndarray]:
    dW, db = ref.regularizers.l2_gradient(
        [(np.asarray(layer["w"]), np.asarray(layer["b"])[:, None])], DECAY, 1
    )[0]
    return {"w": -dW, "b": -db[:, 0]}


def _biases_optax() -> list[Check]:
    layer = _layer()
    zero = jax.tree.map(jnp.zeros_like, layer)

    def move(optimizer):
        return optimizer.update(zero, optimizer.init(layer), layer)[0]

    sgd = optax.sgd(1.0)
    mask = {"w": True, "b": False}
    masked = optax.chain(optax.add_decayed_weights(DECAY, mask=mask), sgd)
    plain = optax.chain(optax.add_decayed_weights(DECAY), sgd)
    return [
        agree("mask without biases", move(masked), _textbook_decay(layer)),
        differ("no mask", move(plain), _textbook_decay(layer)),
        default("mask of optax.adamw", optax.adamw, "mask", None),
    ]


def _biases_torch() -> list[Check]:
    torch, layer = frameworks.torch(), _layer()

    def move(groups):
        tensors = {
            name: torch.nn.Parameter(torch.tensor(np.array(value))) for name, value in layer.items()
        }
        optimizer = torch.optim.SGD(groups(tensors), lr=1.0, weight_decay=DECAY)
        for tensor in tensors.values():
            tensor.grad = torch.zeros_like(tensor)
        optimizer.step()
        return {name: tensors[name].detach().numpy() - np.asarray(layer[name]) for name in tensors}

    def grouped(tensors):
        return [{"params": tensors["w"]}, {"params": tensors["b"], "weight_decay": 0.0}]

    return [
        agree("a group of its own for biases", move(grouped), _textbook_decay(layer)),
        differ("one group", move(lambda t: list(t.values())), _textbook_decay(layer)),
    ]


def _biases_keras() -> list[Check]:
    keras, layer = frameworks.keras(), _layer()

    def move(excluded):
        variables = [
            keras.Variable(value, dtype="float64", name=name) for name, value in layer.items()
        ]
        optimizer = keras.optimizers.SGD(1.0, weight_decay=DECAY)
        optimizer.exclude_from_weight_decay(var_names=excluded)
        optimizer.apply([jnp.zeros_like(value) for value in layer.values()], variables)
        return {
            name: np.asarray(variable) - np.asarray(layer[name])
            for name, variable in zip(layer, variables, strict=True)
        }

    return [
        agree("exclude_from_weight_decay", move(["^b$"]), _textbook_decay(layer)),
        differ("nothing excluded", move([]), _textbook_decay(layer)),
    ]


def _biases_sklearn() -> list[Check]:
    x, y, params, grads = _sklearn_network(LAM)
    right = _linear_gradient(x, y, params, LAM)
    names = ("b1", "b2")
    return [
        agree(
            "gradient of the biases under a penalty",
            {name: grads[name] for name in names}, {name: right[name] for name in names},
        )
    ]  # fmt: skip


ROWS = (
    Difference(
        13, "a", TOPIC, {"textbook": "λ/(2m)‖W‖²", "keras L2": "l2‖W‖²"},
        AGREE_IF + "l2 = λ/(2m)", _l2_keras, mapping="l2 = λ/(2m)", needs=("keras",),
    ),
    Difference(
        13, "b", TOPIC, {"textbook": "λ/(2m)‖W‖²", "scikit-learn": "α/(2B)‖W‖², B the batch"},
        AGREE_IF + "α = λ and the batch is all the data", _l2_sklearn, mapping="α = λB/m",
        needs=("sklearn",),
    ),
    Difference(
        13, "c", TOPIC, {"textbook": "λ/(2m)‖W‖²", "optax.add_decayed_weights": "g + wd·W"},
        AGREE_IF + "wd = λ/m", _l2_decay, mapping="weight_decay = λ/m, masked (row 14)",
    ),
    Difference(
        14, "a", TOPIC, {"textbook": "weights only", "optax": "every array"},
        AGREE_IF + "masked", _biases_optax, {"optax": "mask=None"}, "mask={w: True, b: False}",
    ),
    Difference(
        14, "b", TOPIC, {"textbook": "weights only", "torch": "every parameter of the group"},
        AGREE_IF + "biases have a group of their own", _biases_torch,
        mapping="weight_decay=0 for that group", needs=("torch",),
    ),
    Difference(
        14, "c", TOPIC, {"textbook": "weights only", "keras": "every variable"},
        AGREE_IF + "they are excluded", _biases_keras,
        mapping="exclude_from_weight_decay(var_names=…)", needs=("keras",),
    ),
    Difference(
        14, "d", TOPIC, {"textbook": "weights only", "scikit-learn": "weights only"}, AGREE,
        _biases_sklearn, mapping="none needed", needs=("sklearn",),
    ),
)  # fmt: skip
