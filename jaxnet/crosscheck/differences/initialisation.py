"""Rows 23 to 26: the laws of first weights, each checked on 60,000 draws."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from scipy.special import ndtr

import reference_numpy as ref
from jaxnet.crosscheck.backends import frameworks
from jaxnet.crosscheck.differences.difference import (
    AGREE_IF,
    CANNOT,
    Check,
    Difference,
    agree,
)
from jaxnet.crosscheck.differences.laws import (
    KEPT,
    does_not_follow,
    follows,
    normal,
    share_as_predicted,
    truncated,
    uniform,
)

TOPIC = "initialisation and layout"
N_IN, N_OUT = 200, 300

KEY = 0


def _jax_draw(initializer: Callable[..., Any]) -> np.ndarray:
    return np.asarray(initializer(jax.random.key(KEY), (N_IN, N_OUT), np.float64))


def _torch_linear() -> Any:
    torch = frameworks.torch()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(KEY)
        return torch.nn.Linear(N_IN, N_OUT, dtype=torch.float64)


def _keras_draw(initializer: Any) -> np.ndarray:
    """Of the initializer's class, with a seed of its own and the same arguments."""
    config = initializer.get_config() | {"seed": KEY}
    return np.asarray(type(initializer).from_config(config)((N_IN, N_OUT), dtype="float64"))


LECUN = np.sqrt(1 / N_IN)
GLOROT_LIMIT = np.sqrt(6 / (N_IN + N_OUT))


# Row 23: what a dense layer starts from.


def _flax_default() -> list[Check]:
    from flax import linen

    params = linen.Dense(N_OUT).init(jax.random.key(KEY), np.ones((1, N_IN)))["params"]
    kernel = params["kernel"]
    given = linen.Dense(N_OUT, kernel_init=jax.nn.initializers.glorot_uniform())
    other = given.init(jax.random.key(KEY), np.ones((1, N_IN)))["params"]["kernel"]
    return [
        follows("LeCun's variance, truncated normal", kernel, truncated(LECUN / KEPT)),
        does_not_follow("Glorot's uniform", kernel, uniform(GLOROT_LIMIT)),
        follows("keras' law, when given", other, uniform(GLOROT_LIMIT)),
        agree("b = 0", params["bias"], np.zeros(N_OUT)),
    ]


def _keras_default() -> list[Check]:
    layer = frameworks.keras().layers.Dense(N_OUT)
    layer.build((None, N_IN))
    kernel = _keras_draw(layer.kernel_initializer)
    as_flax = _keras_draw(frameworks.keras().initializers.LecunNormal())
    return [
        follows("Glorot's uniform", kernel, uniform(GLOROT_LIMIT)),
        does_not_follow("LeCun's", kernel, truncated(LECUN / KEPT)),
        follows("flax' law, when given", as_flax, truncated(LECUN / KEPT)),
        agree("b = 0", np.asarray(layer.bias), np.zeros(N_OUT, np.float32)),
    ]


def _fan_in_uniform(weights: Any, bias: Any) -> list[Check]:
    limit = 1 / np.sqrt(N_IN)
    mapped = _jax_draw(jax.nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform"))
    plain = _jax_draw(jax.nn.initializers.lecun_normal())
    return [
        follows("W of U(±1/√n_in)", weights, uniform(limit)),
        follows("b of the same", bias, uniform(limit)),
        follows('variance_scaling(1/3, "fan_in", "uniform")', mapped, uniform(limit)),
        does_not_follow("JAX's lecun_normal", plain, uniform(limit)),
    ]


def _torch_default() -> list[Check]:
    layer = _torch_linear()
    return _fan_in_uniform(layer.weight.detach(), layer.bias.detach())


def _equinox_default() -> list[Check]:
    layer = frameworks.equinox().nn.Linear(N_IN, N_OUT, key=jax.random.key(KEY))
    return _fan_in_uniform(layer.weight, layer.bias)


def _sklearn_draw(activation: str) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.neural_network import MLPRegressor

    network = MLPRegressor(activation=activation)
    network._random_state = np.random.RandomState(KEY)
    return network._init_coef(N_IN, N_OUT, np.float64)


def _sklearn_default() -> list[Check]:
    relu, logistic = _sklearn_draw("relu"), _sklearn_draw("logistic")
    smaller = np.sqrt(2 / (N_IN + N_OUT))
    mapped = _jax_draw(jax.nn.initializers.glorot_uniform())
    return [
        follows("W of U(±√(6/(in+out)))", relu[0], uniform(GLOROT_LIMIT)),
        follows("b of the same", relu[1], uniform(GLOROT_LIMIT)),
        follows("with 2 for logistic units", logistic[0], uniform(smaller)),
        follows("b of the same", logistic[1], uniform(smaller)),
        follows("glorot_uniform", mapped, uniform(GLOROT_LIMIT)),
        does_not_follow("glorot_uniform for logistic units", logistic[0], uniform(GLOROT_LIMIT)),
    ]


# Row 24: "normal".

BEYOND = 2 / KEPT
"""Where a truncated law of deviation 1 ends: 2.27; a normal one has 2.3 % beyond."""


def _tails(cut: np.ndarray, plain: np.ndarray) -> list[Check]:
    """Two He draws: the same deviation, σ, and the share of each beyond 2.27 σ."""
    sigma = np.sqrt(2 / N_IN)
    # A sample deviation of n draws is off by σ/√(2n) or less for laws no heavier than normal's.
    bound = 5 * sigma / np.sqrt(2 * cut.size)
    told = (0.0, float(2 * ndtr(-BEYOND)))
    return [
        agree("deviation, truncated", cut.std(), sigma, bound=bound),
        agree("deviation, untruncated", plain.std(), sigma, bound=bound),
        share_as_predicted(
            "share beyond 2.27 σ",
            # 1e-6 wider than the cut, for weights drawn in float32.
            np.abs(cut) > BEYOND * sigma * (1 + 1e-6), np.abs(plain) > BEYOND * sigma, told,
        ),
    ]  # fmt: skip


def _textbook_he() -> np.ndarray:
    rng = np.random.default_rng(KEY)
    return ref.initializers.initialize(rng, (N_IN, N_OUT), "he")[0][0]


def _tails_jax() -> list[Check]:
    return _tails(_jax_draw(jax.nn.initializers.he_normal()), _textbook_he())


def _tails_keras() -> list[Check]:
    return _tails(_keras_draw(frameworks.keras().initializers.HeNormal()), _textbook_he())


def _tails_torch() -> list[Check]:
    torch = frameworks.torch()
    weights = torch.empty(N_OUT, N_IN, dtype=torch.float64)
    torch.nn.init.kaiming_normal_(weights, generator=torch.Generator().manual_seed(KEY))
    return _tails(_jax_draw(jax.nn.initializers.he_normal()), weights.numpy())


# Row 25: "Xavier".


def _xavier() -> list[Check]:
    rng = np.random.default_rng(KEY)
    textbook = ref.initializers.initialize(rng, (N_IN, N_OUT), "xavier")[0][0]
    glorot = ref.initializers.initialize(rng, (N_IN, N_OUT), "glorot")[0][0]
    sigma = {"lecun": LECUN, "glorot": np.sqrt(2 / (N_IN + N_OUT))}
    jax_lecun = _jax_draw(jax.nn.initializers.lecun_normal())
    jax_glorot = _jax_draw(jax.nn.initializers.glorot_normal())
    bound = 5 * LECUN / np.sqrt(2 * textbook.size)
    return [
        agree("textbook's Xavier is LeCun's", textbook.std(), sigma["lecun"], bound=bound),
        agree("jax lecun_normal", jax_lecun.std(), sigma["lecun"], bound=bound),
        agree("textbook's glorot", glorot.std(), sigma["glorot"], bound=bound),
        agree("jax glorot_normal", jax_glorot.std(), sigma["glorot"], bound=bound),
        does_not_follow("textbook's Xavier is not Glorot's", textbook, normal(sigma["glorot"])),
    ]


# Row 26: a truncated normal of deviation σ.

SIGMA = 1.5


def _truncated_jax() -> list[Check]:
    return _truncated(_jax_draw(jax.nn.initializers.truncated_normal(SIGMA)))


def _truncated_keras() -> list[Check]:
    initializer = frameworks.keras().initializers.TruncatedNormal(stddev=SIGMA)
    return _truncated(_keras_draw(initializer))


def _truncated(draws: np.ndarray) -> list[Check]:
    told = (float(KEPT * SIGMA), SIGMA)
    bound = 5 * SIGMA / np.sqrt(2 * draws.size)
    near = abs(draws.std() - told[0]) <= bound
    return [
        follows("N(0, σ²) cut at ±2σ", draws, truncated(SIGMA)),
        Check(
            "deviation asked for and got", "predicted", bool(near and SIGMA - told[0] > bound),
            float(SIGMA - draws.std()), SIGMA - told[0], bound,
        ),
        follows("σ/0.8796 asked for: deviation σ", draws / KEPT, truncated(SIGMA / KEPT)),
    ]  # fmt: skip


def _truncated_torch() -> list[Check]:
    torch = frameworks.torch()

    def draw(*cut):
        generator = torch.Generator().manual_seed(KEY)
        weights = torch.empty(N_IN, N_OUT, dtype=torch.float64)
        return torch.nn.init.trunc_normal_(weights, 0.0, SIGMA, *cut, generator=generator)

    inside = ndtr(2 / SIGMA) - ndtr(-2 / SIGMA)

    def absolute(x):
        return np.clip((ndtr(x / SIGMA) - ndtr(-2 / SIGMA)) / inside, 0, 1)

    return [
        follows("a = −2σ, b = 2σ", draw(-2 * SIGMA, 2 * SIGMA), truncated(SIGMA)),
        does_not_follow("torch's default cut", draw(), truncated(SIGMA)),
        follows("which is at ±2, whatever σ", draw(), absolute),
    ]


ROWS = (
    Difference(
        23, "a", TOPIC, {"flax Dense": "LeCun, truncated normal; b = 0", "keras": "Glorot uniform"},
        AGREE_IF + "the initializer is given", _flax_default,
        {"flax": "lecun_normal"}, "kernel_init=", ("flax",),
    ),
    Difference(
        23, "b", TOPIC, {"keras Dense": "Glorot uniform; b = 0", "flax": "LeCun, truncated normal"},
        AGREE_IF + "the initializer is given", _keras_default,
        {"keras": "glorot_uniform"}, "kernel_initializer=", ("keras",),
    ),
    Difference(
        23, "c", TOPIC, {"torch Linear": "U(±1/√n_in), W and b", "jax": "as given"},
        AGREE_IF + 'W is variance_scaling(1/3, "fan_in", "uniform")', _torch_default,
        {"torch": "kaiming_uniform_(a=√5)"},
        'variance_scaling(1/3, "fan_in", "uniform"), b of U(±1/√n_in)', ("torch",),
    ),
    Difference(
        23, "d", TOPIC, {"equinox Linear": "U(±1/√n_in), W and b", "jax": "as given"},
        AGREE_IF + 'W is variance_scaling(1/3, "fan_in", "uniform")', _equinox_default,
        mapping='variance_scaling(1/3, "fan_in", "uniform"), b of U(±1/√n_in)',
        needs=("equinox",),
    ),
    Difference(
        23, "e", TOPIC,
        {"scikit-learn": "U(±√(6/(in+out))), 2 for logistic, W and b", "jax": "as given"},
        AGREE_IF + "W is glorot_uniform, or a third of its variance for logistic units",
        _sklearn_default, mapping='glorot_uniform; variance_scaling(1/3, "fan_avg", "uniform")',
        needs=("sklearn",),
    ),
    Difference(
        24, "a", TOPIC, {"jax he_normal": "cut at 2.27 σ", "textbook": "not cut"}, CANNOT,
        _tails_jax, mapping="the same variance; σ·normal() for the same tails",
    ),
    Difference(
        24, "b", TOPIC, {"keras HeNormal": "cut at 2.27 σ", "textbook": "not cut"}, CANNOT,
        _tails_keras, mapping="the same variance; RandomNormal(stddev=σ) for the same tails",
        needs=("keras",),
    ),
    Difference(
        24, "c", TOPIC, {"jax he_normal": "cut at 2.27 σ", "torch kaiming_normal_": "not cut"},
        CANNOT, _tails_torch, mapping="the same variance; trunc_normal_ for the same tails",
        needs=("torch",),
    ),
    Difference(
        25, "", TOPIC, {"textbook's Xavier": "1/n_in", "Glorot, and jax' xavier": "2/(in+out)"},
        AGREE_IF + "Xavier is read as LeCun's", _xavier, mapping="lecun_normal",
    ),
    Difference(
        26, "a", TOPIC, {"jax truncated_normal(σ)": "N(0, σ²) cut at ±2σ", "asked": "deviation σ"},
        AGREE_IF + "σ/0.8796 is asked for", _truncated_jax, mapping="stddev = σ/0.87963",
    ),
    Difference(
        26, "b", TOPIC, {"keras TruncatedNormal": "N(0, σ²) cut at ±2σ", "asked": "deviation σ"},
        AGREE_IF + "σ/0.8796 is asked for", _truncated_keras, mapping="stddev = σ/0.87963",
        needs=("keras",),
    ),
    Difference(
        26, "c", TOPIC, {"torch trunc_normal_": "cut at ±2", "jax, keras": "cut at ±2σ"},
        AGREE_IF + "a = −2σ, b = 2σ", _truncated_torch, {"torch": "a=-2, b=2"}, "a = −2σ, b = 2σ",
        ("torch",),
    ),
)  # fmt: skip
