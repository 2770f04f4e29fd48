"""The compared frameworks: each imported when it is asked for, with the extra to install named.

Nothing here is imported with the package: whoever compares with torch pays for torch.
"""

import importlib
import importlib.metadata
import os
import sys
from typing import Any

EXTRA = "pip install -e '.[compare]'"

DISTRIBUTIONS = {
    "numpy": "numpy",
    "jax": "jax",
    "optax": "optax",
    "torch": "torch",
    "keras": "keras",
    "sklearn": "scikit-learn",
    "flax": "flax",
    "chex": "chex",
    "equinox": "equinox",
    "scipy": "scipy",
}
"""Name to import ↦ name to install."""


def installed(name: str) -> str | None:
    """The installed version of a package by the name it is imported by, or None; imports nothing.

    Raises ValueError for a name that is not in `DISTRIBUTIONS`.

    >>> installed("numpy") is not None
    True
    """
    if name not in DISTRIBUTIONS:
        raise ValueError(f"name: expected one of {', '.join(DISTRIBUTIONS)}, got {name!r}")
    try:
        return importlib.metadata.version(DISTRIBUTIONS[name])
    except importlib.metadata.PackageNotFoundError:
        return None


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:  # something that the framework itself needs: its own message is best
            raise
        raise ImportError(
            f"{name}: expected it to be installed, found it is not; {EXTRA} installs it"
        ) from error


def torch() -> Any:
    """The module torch. Raises ImportError, naming the extra, where it is not installed."""
    return _imported("torch")


def keras() -> Any:
    """The module keras, on its JAX backend. Raises ImportError where it is not installed.

    keras fixes its backend when it is imported: the variable KERAS_BACKEND is set to jax first
    unless it is set already. Raises ImportError too when keras runs on another backend.
    """
    if "keras" not in sys.modules:
        os.environ.setdefault("KERAS_BACKEND", "jax")
    module = _imported("keras")
    backend = module.config.backend()
    if backend != "jax":
        raise ImportError(
            f"keras: expected its JAX backend, got {backend!r}; set KERAS_BACKEND=jax before keras "
            f"is imported for the first time"
        )
    return module


def sklearn() -> Any:
    """The module sklearn. Raises ImportError, naming the extra, where it is not installed."""
    return _imported("sklearn")


def flax() -> Any:
    """The module flax. Raises ImportError, naming the extra, where it is not installed."""
    return _imported("flax")


def chex() -> Any:
    """The module chex. Raises ImportError, naming the extra, where it is not installed."""
    return _imported("chex")


def equinox() -> Any:
    """The module equinox. Raises ImportError, naming the extra, where it is not installed."""
    return _imported("equinox")
