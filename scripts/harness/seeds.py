"""Keys: one per experiment from the root seed, and one per seed of a statistical claim."""

import argparse
import zlib

import jax

from scripts.harness.claims import MIN_SEEDS

QUICK_SEEDS = 3


def experiment_key(seed: int, experiment_id: str) -> jax.Array:
    """Key of one experiment: the root key folded with a stable hash of the experiment's id.

    So an experiment's numbers depend on the seed and on its own name, never on which other
    experiments run.
    """
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(experiment_id.encode()))


def seed_keys(key: jax.Array, quick: bool, seeds: int = MIN_SEEDS) -> jax.Array:
    """Independent keys to vmap over: (3,) in a quick run, (seeds,) in a full one.

    Raises ValueError for fewer than 20 seeds, on which no statistical claim is judged.
    """
    if seeds < MIN_SEEDS:
        raise ValueError(f"seeds: expected at least {MIN_SEEDS}, got {seeds}")
    return jax.random.split(key, QUICK_SEEDS if quick else seeds)


def check_seed(text: str) -> int:
    """A root seed from the command line, in [0, 2³²): larger ones would be cut to 32 bits."""
    try:
        seed = int(text)
    except ValueError:
        seed = -1
    if not 0 <= seed < 2**32:
        raise argparse.ArgumentTypeError(f"expected an integer in [0, 2^32), got {text!r}")
    return seed
