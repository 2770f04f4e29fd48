"""Data sets by name, and two-dimensional ones that are functions of a key.

moons, circles, spirals and flower return (x (m, 2), y (m,)), y whole numbers from 0, the classes
in turn along the rows and of equal size (but for a remainder). digits, breast_cancer and diabetes
come with scikit-learn and need no network.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32

from jaxnet.data import normalization
from jaxnet.data.splits import train_dev_test
from jaxnet.data.types import Dataset, Split
from jaxnet.types import PRNGKey, Scalar
from jaxnet.validation import check_choice, check_count, check_non_negative

SYNTHETIC_EXAMPLES = 1500


def _in_turn(m: int, classes: int) -> Int32[Array, " m"]:
    check_count("m", m, least=classes)
    return jnp.arange(m, dtype=jnp.int32) % classes


def _polar(radius: Float[Array, " m"], angle: Float[Array, " m"]) -> Float[Array, "m 2"]:
    return jnp.stack([radius * jnp.cos(angle), radius * jnp.sin(angle)], axis=1)


def _jitter(key: PRNGKey, x: Float[Array, "m 2"], noise: Scalar) -> Float[Array, "m 2"]:
    check_non_negative("noise", noise)
    return x + jnp.asarray(noise, x.dtype) * jax.random.normal(key, x.shape)


def moons(key: PRNGKey, m: int, *, noise: Scalar = 0.1) -> Dataset:
    """Two interleaved half circles of radius 1.

    class 0: (cos t, sin t); class 1: (1 − cos t, ½ − sin t); t ~ U(0, π), plus noise · N(0, I)

    m: examples, ≥ 2. noise: ≥ 0, may be traced. Returns x (m, 2), y (m,) in {0, 1}.

    >>> moons(jax.random.key(0), 7).x.shape
    (7, 2)
    """
    y = _in_turn(m, 2)
    place, jitter = jax.random.split(key)
    x = _polar(jnp.ones(m), jax.random.uniform(place, (m,), maxval=jnp.pi))
    lower = jnp.array([[1.0, 0.5]]) - x
    return Dataset(_jitter(jitter, jnp.where((y == 0)[:, None], x, lower), noise), y)


def circles(key: PRNGKey, m: int, *, noise: Scalar = 0.1) -> Dataset:
    """Two circles about the origin: class 0 of radius 1, class 1 of radius ½, plus noise.

    m: examples, ≥ 2. noise: standard deviation ≥ 0, may be traced. Returns x (m, 2), y (m,).

    >>> circles(jax.random.key(0), 7).y
    Array([0, 1, 0, 1, 0, 1, 0], dtype=int32)
    """
    y = _in_turn(m, 2)
    place, jitter = jax.random.split(key)
    angle = jax.random.uniform(place, (m,), maxval=2 * jnp.pi)
    return Dataset(_jitter(jitter, _polar(1 - y.astype(float) / 2, angle), noise), y)


def spirals(
    key: PRNGKey, m: int, *, classes: int = 3, turns: Scalar = 1.0, noise: Scalar = 0.02
) -> Dataset:
    """Interleaved spirals from the origin to radius 1, one for each class.

    radius r ~ U(0, 1), angle 2π (turns · r + class / classes), plus noise · N(0, I)

    m: examples, ≥ classes. classes: ≥ 2. turns: how far each winds. noise: ≥ 0. The arms are
    about 1/(classes · turns) apart. Returns x (m, 2), y (m,) in 0 … classes−1.

    >>> spirals(jax.random.key(0), 7).y
    Array([0, 1, 2, 0, 1, 2, 0], dtype=int32)
    """
    check_count("classes", classes, least=2)
    y = _in_turn(m, classes)
    place, jitter = jax.random.split(key)
    radius = jax.random.uniform(place, (m,))
    turned = jnp.asarray(turns, radius.dtype) * radius + y.astype(float) / classes
    return Dataset(_jitter(jitter, _polar(radius, 2 * jnp.pi * turned), noise), y)


def flower(key: PRNGKey, m: int, *, petals: int = 6, noise: Scalar = 0.05) -> Dataset:
    """Petals about the origin, of class 0 and 1 in turn.

    angle θ ~ U(0, 2π), radius |sin(petals · θ / 2)|, plus noise · N(0, I); the class is the
    petal's number mod 2

    m: examples, ≥ petals. petals: even, so that neighbours differ all around. noise: ≥ 0, may be
    traced. Returns x (m, 2), y (m,) in {0, 1}. Raises ValueError for an odd number of petals.

    >>> flower(jax.random.key(0), 7).y
    Array([0, 1, 0, 1, 0, 1, 0], dtype=int32)
    """
    check_count("petals", petals, least=2)
    if petals % 2:
        raise ValueError(f"petals: expected an even number, got {petals}")
    petal = _in_turn(m, petals)
    place, jitter = jax.random.split(key)
    across = jax.random.uniform(place, (m,))
    angle = 2 * jnp.pi / petals * (petal.astype(float) + across)
    x = _polar(jnp.abs(jnp.sin(jnp.pi * across)), angle)
    return Dataset(_jitter(jitter, x, noise), petal % 2)


def raw(name: str) -> Dataset:
    """A data set of scikit-learn's as it comes: whole, its features in their own units.

    name: digits (pixels 0 … 16), breast_cancer (30 measurements from 1e-3 to 4e3) or diabetes; see
    `load`. Returns Dataset(x, y), y int32 for classes, float for diabetes. Raises ValueError for an
    unknown name, ImportError where scikit-learn is missing.
    """
    check_choice("name", name, ("digits", "breast_cancer", "diabetes"))
    try:
        from sklearn import datasets
    except ImportError as error:
        raise ImportError(
            f"the data set {name!r} comes with scikit-learn: pip install 'jaxnet-suite[figures]'"
        ) from error
    loaders = {
        "digits": datasets.load_digits,
        "breast_cancer": datasets.load_breast_cancer,
        "diabetes": datasets.load_diabetes,
    }
    x, y = loaders[name](return_X_y=True)
    kind = float if name == "diabetes" else jnp.int32
    return Dataset(jnp.asarray(x, float), jnp.asarray(y, kind))


def _digits(key: PRNGKey) -> Split:
    x, y = raw("digits")
    return train_dev_test(key, Dataset(x / 16, y), stratify=True)


@jax.jit  # one program instead of some twenty small ones
def _normalized(parts: Split) -> Split:
    measured = normalization.fit(parts.train.x)
    return Split(*(Dataset(normalization.apply(measured, part.x), part.y) for part in parts))


def _breast_cancer(key: PRNGKey) -> Split:
    return _normalized(train_dev_test(key, raw("breast_cancer"), stratify=True))


def _diabetes(key: PRNGKey) -> Split:
    return _normalized(train_dev_test(key, raw("diabetes")))


def _synthetic(make):
    def prepare(key: PRNGKey) -> Split:
        draw, cut = jax.random.split(key)
        return train_dev_test(cut, make(draw, SYNTHETIC_EXAMPLES), stratify=True)

    return prepare


_LOADERS = {
    "digits": _digits,
    "breast_cancer": _breast_cancer,
    "diabetes": _diabetes,
    "moons": _synthetic(moons),
    "circles": _synthetic(circles),
    "spirals": _synthetic(spirals),
    "flower": _synthetic(flower),
}


def whole(name: str) -> Dataset:
    """A data set of `load` in one piece, to be cut anew: every seed of an experiment its own way.

    Its examples are those of `load`, the training part's first; features that `load` normalizes are
    normalized with that part's μ and σ. Raises what `load` raises.

    >>> whole("moons").x.shape
    (1500, 2)
    """
    parts = load(name)
    return Dataset(*(jnp.concatenate(of_all) for of_all in zip(*parts, strict=True)))


def load(name: str, *, key: PRNGKey | None = None) -> Split:
    """A data set, cut 60/20/20 into train, dev and test, stratified where there are classes.

    name: one of
      digits         1,797 images of 8×8 pixels as x (m, 64), scaled to [0, 1]; y 0 … 9
      breast_cancer  569 tumours, 30 measurements normalized with the training part's μ and σ;
                     y 0 malignant, 1 benign (scikit-learn's coding)
      diabetes       442 patients, 10 measurements normalized likewise; y the disease's progress
                     after a year, in its own units (25 … 346): regression
      moons, circles, spirals, flower
                     1,500 points of this module's function of that name with its defaults
    key: decides the split and, of the last four, the points; without one jax.random.key(0).
    Returns Split(train, dev, test) of Dataset(x, y): x in JAX's default float dtype, y int32, or
    float for regression. Raises ValueError for an unknown name, ImportError where scikit-learn
    is missing.

    >>> load("moons").train.x.shape
    (900, 2)
    """
    check_choice("name", name, _LOADERS)
    return _LOADERS[name](jax.random.key(0) if key is None else key)
