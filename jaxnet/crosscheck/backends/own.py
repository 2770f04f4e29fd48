"""jaxnet itself three ways: op by op, compiled, and mapped over a batch; and NumPy's own draws."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxnet.crosscheck import layout
from jaxnet.crosscheck.backends import predicted
from jaxnet.crosscheck.backends.adapter import BOTH, FLOAT64, Adapter, Backend, gathered
from jaxnet.crosscheck.cases import CASES, laws, trainings
from jaxnet.crosscheck.cases.case import Args, Case, Results, Transform, jaxnet_results


def plain(function: Callable) -> Callable:
    """Run op by op, nothing compiled together: loops are Python's."""

    def run(*args: Any) -> Any:
        with jax.disable_jit():
            return function(*args)

    return run


def mapped(function: Callable) -> Callable:
    """Run as the second of two members of a vmap, the first on half of every real number."""

    def two(array: Any) -> Any:
        array = jnp.asarray(array)
        real = jnp.issubdtype(array.dtype, jnp.floating)
        return jnp.stack([array / 2 if real else array, array])

    def run(*args: Any) -> Any:
        members = jax.jit(jax.vmap(function))(*jax.tree.map(two, args))
        return jax.tree.map(lambda leaf: leaf[1], members)

    return run


def _adapter(case: Case, transform: Transform, **options: Any) -> Adapter:
    def run(args: Args, dtype: Any) -> Results:
        del dtype  # JAX computes in the one that it has for reals now
        return jaxnet_results(case, args, transform)

    return Adapter(run, **options)


EVERY = (*CASES, *laws.CASES, *trainings.CASES)

# tests/test_cases.py runs every row in both dtypes; here float32 is a sample of each kind.
IN_BOTH = ("activations/", "losses/", "optimizers/", "regularizers/l", "schedules/", "clipping/")
IN_BOTH += ("networks/relu_softmax", "batch_norm/training", "trainings/adam")

# A hundred steps op by op would say nothing that twelve steps of every rule do not.
COMPILED = {
    case.name: _adapter(case, jax.jit, dtypes=BOTH if case.name.startswith(IN_BOTH) else FLOAT64)
    for case in EVERY
    if case.traced
}
MAPPED = {case.name: _adapter(case, mapped) for case in EVERY if case.traced}
PLAIN = {
    case.name: _adapter(case, plain, note="" if case.traced else "decided on the host")
    for case in (*CASES, *laws.CASES)
}


def _maximum(args: Args, dtype: Any) -> Results:
    z = layout.rows(args["Z"], dtype)
    a, pull_back = jax.vjp(lambda z: jnp.maximum(z, 0), z)
    (dz,) = pull_back(jnp.ones_like(a))
    return {"A": layout.columns(a), "dZ": layout.columns(dz)}


AT_KINKS = {
    "activations/relu_at_kink": Adapter(
        _maximum,
        variant="jnp.maximum",
        note="jnp.maximum(z, 0) has the derivative ½ at 0",
        predicted=lambda args: predicted.derivative_at_0(args, 0.5, 0.0),
    )
}


def _reference_law(scheme: str, args: Args, dtype: Any) -> Results:
    del dtype
    return laws.reference_statistics(args, scheme)


LAWS = {
    f"initializers/law_of_{scheme}": Adapter(partial(_reference_law, scheme))
    for scheme in laws.SCHEMES
}

NUMPY = Backend("numpy", "numpy", gathered(LAWS))
BACKENDS = (
    Backend("jax", "jax", gathered(PLAIN, AT_KINKS)),
    Backend("jax.jit", "jax", gathered(COMPILED)),
    Backend("jax.vmap", "jax", gathered(MAPPED)),
)
