"""What one row of the cross-check is, and how it is run."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.crosscheck.bounds import Bounded, tolerance
from jaxnet.crosscheck.comparison import Comparison, compare
from reference_numpy.gradient_check import central_differences, complex_step

Args = dict[str, Any]
"""Arrays in the reference's layout, and plain numbers; everything that either side needs."""

Results = Mapping[str, Any]
"""Named arrays in the reference's layout."""

Transform = Callable[[Callable], Callable]
"""How a traced function is run: jax.jit, or what runs it plainly or mapped over a batch."""


class Absolute(NamedTuple):
    """A bound that comes from sampling, not from rounding: the same in every dtype.

    value: what it is the bound of.
    """

    bound: Any
    value: Any


class Case(NamedTuple):
    """One algorithm, on both sides. All functions take the same arguments.

    name: unique. quantity: what is compared, in words.
    draw: random generator ↦ arguments, of random and pairwise different sizes.
    reference, jaxnet: arguments ↦ named arrays, in the reference's layout. jaxnet computes in the
        dtype that JAX has for reals at the time; where it is traced it takes how its function of
        arrays is to be run, `transform`, by default jax.jit.
    errors: arguments ↦ for every name, how far a computed array may be from the exact one, in
        rounding units u (`bounds`): a Bounded, an array or a number; 0 for what must be equal; or
        an Absolute bound.
    oracle: arguments ↦ some of the named arrays in high precision, where the formula is there.
    cost: arguments ↦ the number whose gradient is computed, by the reference's functions; wrt: the
        names of the arguments it is the gradient by, each of which has its result "d" + name.
    analytic: the cost may be differentiated by the complex step.
    traced: whether jaxnet's side is a function of arrays, which jit and vmap apply to; what is
        decided on the host is not.
    """

    name: str
    quantity: str
    draw: Callable[[np.random.Generator], Args]
    reference: Callable[[Args], Results]
    jaxnet: Callable[..., Results]
    errors: Callable[[Args], Results]
    oracle: Callable[[Args], Results] | None = None
    cost: Callable[[Args], Any] | None = None
    wrt: tuple[str, ...] = ()
    analytic: bool = False
    traced: bool = True


def sizes(rng: np.random.Generator, count: int, *, low: int = 2, high: int = 9) -> list[int]:
    """Pairwise different sizes, so that no wrong transpose or axis has the right shape."""
    return [int(size) for size in rng.choice(np.arange(low, high + 1), count, replace=False)]


def draw(case: Case, rng: np.random.Generator, dtype: Any) -> Args:
    """Arguments of a case that the dtype holds exactly.

    Both sides then start from the same numbers, and only the rounding of the computation counts:
    reals are rounded to the dtype and handed on as float64. Whole numbers stay as they are.
    """

    def representable(value: Any) -> Any:
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            return value.astype(dtype).astype(np.float64)
        return float(np.dtype(dtype).type(value)) if isinstance(value, float) else value

    return {name: jax.tree.map(representable, value) for name, value in case.draw(rng).items()}


def bound(case: Case, args: Args, *dtypes: Any) -> dict[str, np.ndarray]:
    """The bound of every named array, for comparing results computed in these dtypes."""
    return bounds_of(case.errors(args), *dtypes)


def bounds_of(errors: Results, *dtypes: Any) -> dict[str, np.ndarray]:
    """Bounds from errors as `Case.errors` gives them."""

    def one(error: Any) -> np.ndarray:
        if isinstance(error, Absolute):
            return np.asarray(error.bound)
        return np.asarray(tolerance(error.error if isinstance(error, Bounded) else error, *dtypes))

    return {name: one(error) for name, error in errors.items()}


def jaxnet_results(case: Case, args: Args, transform: Transform = jax.jit) -> Results:
    """What jaxnet computes, with full-precision products also on accelerators."""
    with jax.default_matmul_precision("highest"):
        return case.jaxnet(args, transform) if case.traced else case.jaxnet(args)


def compare_twins(case: Case, args: Args) -> Comparison:
    """The reference's results on the left, jaxnet's on the right, within the derived bound."""
    dtype = jnp.result_type(float)
    return compare(
        dict(case.reference(args)),
        dict(jaxnet_results(case, args)),
        bound=bound(case, args, np.float64, dtype),
    )


def numerical_gradient(case: Case, args: Args, name: str, *, eps: float = 6e-6) -> np.ndarray:
    """Two-sided differences of the reference's cost by one argument, along every coordinate.

    eps: u^(1/3), where truncation and rounding balance; the notes' 1e-7 loses three more digits.
    """
    cost = case.cost
    assert cost is not None
    return central_differences(lambda theta: cost({**args, name: theta}), args[name], eps=eps)


def complex_step_gradient(case: Case, args: Args, name: str) -> np.ndarray:
    """The gradient of the reference's cost by one argument, by the complex step: exact but for
    rounding, where the cost is analytic."""
    cost = case.cost
    assert cost is not None
    return complex_step(lambda theta: cost({**args, name: theta}), args[name])
