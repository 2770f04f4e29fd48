"""Every framework's own way to each algorithm of the registry: adapters by backend and case."""

from jaxnet.crosscheck.backends import (
    own,
    with_flax,
    with_keras,
    with_optax,
    with_sklearn,
    with_torch,
)
from jaxnet.crosscheck.backends.adapter import Adapter, Backend

BACKENDS: tuple[Backend, ...] = (
    own.NUMPY,
    *own.BACKENDS,
    with_optax.BACKEND,
    with_torch.BACKEND,
    with_keras.BACKEND,
    with_sklearn.BACKEND,
    with_flax.BACKEND,
)

__all__ = ["BACKENDS", "Adapter", "Backend"]
