"""What every test runs under: checked annotations, strict rank promotion, 64 bits where marked.

Warnings are errors (pyproject.toml), so that a deprecation in the next JAX is seen here first.
"""

import jax
import pytest
from jaxtyping import install_import_hook

# Must come before the first import of the packages, whose annotations it turns into checks.
hook = install_import_hook("jaxnet", "beartype.beartype")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Broadcasting of unequal ranks raises everywhere; `f64` tests see 64-bit numbers."""
    with (
        jax.numpy_rank_promotion("raise"),
        jax.enable_x64(item.get_closest_marker("f64") is not None),
    ):
        return (yield)
