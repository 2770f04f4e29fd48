"""Row 32: what a dropout rate is, and whose masks."""

import jax
import jax.numpy as jnp
import numpy as np

import reference_numpy as ref
from jaxnet.crosscheck.backends import frameworks
from jaxnet.crosscheck.differences.difference import (
    AGREE_IF,
    CANNOT,
    Check,
    Difference,
    agree,
    differ,
)
from jaxnet.crosscheck.differences.laws import share_as_predicted

TOPIC = "normalisation and dropout"

# keras normalises in float32 even in layers of dtype float64 (row 39): fifty roundings of it, for
# sums of seven, a root and a quotient, of results of up to 2.
KERAS_BOUND = 50 * 2.0**-24 * 2


# Row 32: dropout.

RATE = 0.2


def _ones() -> np.ndarray:
    return 1 + np.random.default_rng(8).uniform(size=(100, 200))


def _dropout(out: np.ndarray) -> list[Check]:
    """Inverted dropout of a framework, with the mask read off its result put into the reference."""
    A, out = _ones(), np.asarray(out)
    mask = out != 0
    kept = np.sqrt(RATE * (1 - RATE) / mask.size)
    return [
        agree(
            "its mask, keep_prob = 1 − rate", out, ref.regularizers.apply_mask(A, mask, 1 - RATE)
        ),
        differ("keep_prob = rate", out, ref.regularizers.apply_mask(A, mask, RATE)),
        agree("share kept", mask.mean(), 1 - RATE, bound=5 * kept),
    ]


def _flax_dropped() -> np.ndarray:
    from flax import linen

    layer = linen.Dropout(RATE, deterministic=False)
    return np.asarray(layer.apply({}, jnp.asarray(_ones()), rngs={"dropout": jax.random.key(0)}))


def _torch_dropped() -> np.ndarray:
    torch = frameworks.torch()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return torch.nn.functional.dropout(torch.tensor(_ones()), RATE, training=True).numpy()


def _dropout_flax() -> list[Check]:
    return _dropout(_flax_dropped())


def _dropout_torch() -> list[Check]:
    return _dropout(_torch_dropped())


def _dropout_keras() -> list[Check]:
    layer = frameworks.keras().layers.Dropout(RATE, seed=0, dtype="float64")
    return _dropout(np.asarray(layer(_ones(), training=True)))


def _dropout_equinox() -> list[Check]:
    layer = frameworks.equinox().nn.Dropout(RATE)
    return _dropout(np.asarray(layer(jnp.asarray(_ones()), key=jax.random.key(0))))


def _dropout_streams() -> list[Check]:
    """Independent masks: a place is kept by one and dropped by the other 2p(1−p) of the time."""
    flax_mask, torch_mask = _flax_dropped() != 0, _torch_dropped() != 0
    return [
        share_as_predicted(
            "places where two masks of seed 0 differ", flax_mask != torch_mask,
            flax_mask != flax_mask, (2 * RATE * (1 - RATE), 0.0),
        )
    ]  # fmt: skip


ROWS = (
    *(
        Difference(
            32, part, TOPIC, {"textbook": "A·D/keep_prob", framework: "A·D/(1 − rate)"},
            AGREE_IF + "keep_prob = 1 − rate and the mask is injected", execute,
            mapping="keep_prob = 1 − rate", needs=(framework,),
        )
        for part, framework, execute in (
            ("a", "flax", _dropout_flax), ("b", "torch", _dropout_torch),
            ("c", "keras", _dropout_keras), ("d", "equinox", _dropout_equinox),
        )
    ),
    Difference(
        32, "e", TOPIC, {"flax": "mask from a JAX key", "torch": "mask from its generator"}, CANNOT,
        _dropout_streams, mapping="inject the mask", needs=("flax", "torch"),
    ),
)  # fmt: skip
