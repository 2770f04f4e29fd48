"""Rows 12, 14, 17, 21 to 24, 35, 45 and 50 to 53: accuracy, clipping, and what is around an update.

All planted in `right`.
"""

from scripts.mutants.planting import Edit, Mutant


def _mutant(number: str, bug: str, name: str, contract: str, *edits: Edit) -> Mutant:
    return Mutant(number, bug, (name,), contract, edits, source="scripts/mutants/right.py")


LABELS_CHECKED = (
    "    if np.any((labels < 0) | (labels >= len(scores))):\n"
    '        raise ValueError(f"labels: expected 0 to {len(scores) - 1}, got {labels}")\n'
)
NEW_RNG = "        rng = np.random.default_rng(int(seed))\n"
NEW_STATE = "        state = optimizers.momentum_init(params)\n"


def _lost(number: str, leaf: str, instead: str) -> Mutant:
    """A leaf of the saved state is replaced by another when training goes on."""
    edit = Edit(f'"{leaf}": saved["{leaf}"]', f'"{leaf}": {instead}', "_restored")
    return _mutant(number, f"resuming loses {leaf}", f"which leaf: {leaf}", "training.resume", edit)


MUTANTS = (
    _mutant(
        "12",
        "argmax over the wrong axis",
        "axis",
        "evaluation.accuracy",
        Edit(
            "np.mean(np.argmax(scores, axis=0) == labels)",
            "np.mean(np.argmax(scores, axis=1) == labels)",
        ),
    ),
    _mutant(
        "14c",
        "accuracy accepts a label equal to K",
        "label range",
        "evaluation.accuracy",
        Edit(LABELS_CHECKED, "", "accuracy"),
    ),
    _mutant(
        "17a",
        "the whole set's m used for the batch",
        "factor m/B",
        "batch_gradients",
        Edit(
            "return mlp.backward(params, caches, Y[:, batch])",
            "grads = mlp.backward(params, caches, Y[:, batch])\n"
            "    return [tuple(g * len(batch) / X.shape[1] for g in layer) for layer in grads]",
            "batch_gradients",
        ),
    )._replace(by=("diagnosis",)),
    _mutant(
        "17b",
        "the whole set's m used for the batch, in a training",
        "factor m/B",
        "train",
        Edit("batch_gradients(params, X, Y, batch)", "_of_all(params, X, Y, batch)", "train"),
        Edit(
            "def _named(",
            "def _of_all(params, X, Y, batch):\n"
            "    grads = batch_gradients(params, X, Y, batch)\n"
            "    return [tuple(g * len(batch) / X.shape[1] for g in layer) for layer in grads]\n"
            "\n\ndef _named(",
        ),
    )._replace(by=("first divergence",)),
    _mutant(
        "21b",
        "dropout ignores that it is not in training",
        "train mode at evaluation",
        "layers.dropout",
        Edit("if train:", "if True:", "dropout"),
    ),
    _mutant(
        "22",
        "the same mask every step",
        "reused key",
        "training.dropout_masks",
        Edit(
            "np.array([regularizers.dropout_mask(rng, shape, keep_prob) for _ in range(steps)])",
            "np.array([regularizers.dropout_mask(rng, shape, keep_prob)] * steps)",
        ),
    ),
    _mutant(
        "23",
        "early stopping returns the last parameters",
        "last instead of best",
        "training.early_stopping_loop",
        Edit("return best", "return params", "early_stopping_loop"),
    ),
    _mutant(
        "24",
        "the best copy is an alias",
        "aliasing",
        "training.early_stopping_loop",
        Edit(
            "            best, lowest, waited = np.array(params)",
            12 * " " + "best, lowest, waited = params",
        ),
    ),
    _mutant(
        "35",
        "gradients clipped per tensor instead of globally",
        "norm",
        "clipping.global_norm",
        Edit("    norm = np.sqrt(sum(np.sum(g**2) for layer in grads for g in layer))\n", ""),
        Edit("    factor = min(1.0, limit / norm)\n", "", "global_norm"),
        Edit("g * factor", "g * min(1.0, limit / np.linalg.norm(g))", "global_norm"),
    ),
    _mutant(
        "45",
        "the same augmentation every epoch",
        "reused key",
        "training.augmented_epochs",
        Edit("    each = []\n", "    each, angles = [], rng.uniform(-15, 15, len(x))\n"),
        Edit("        angles = rng.uniform(-15, 15, len(x))\n", ""),
    ),
    _mutant(
        "50a",
        "the compiled step keeps an old learning rate",
        "stale learning rate",
        "training.step",
        Edit("jax.jit(_step)", "jax.jit(lambda p, x, y, _: _step(p, x, y, learning_rate))", "step"),
    ),
    _mutant(
        "50b",
        "a training keeps its first learning rate",
        "stale learning rate",
        "train",
        Edit("learning_rate(number)", "learning_rate(0)", "train"),
    )._replace(by=("first divergence",)),
    _mutant(
        "51a",
        "the members of a population share randomness",
        "leak across runs",
        "training.population",
        Edit("    members = []\n", f"    members, seed = [], seeds[0]\n{NEW_RNG[4:]}"),
        Edit(NEW_RNG, "", "population"),
    ),
    _mutant(
        "51b",
        "all members of a population have the first one's seed",
        "leak across runs",
        "training.population",
        Edit("int(seed)", "int(seeds[0])", "population"),
    ),
    _mutant(
        "51c",
        "the velocity is carried from one member to the next",
        "leak across runs",
        "training.population",
        Edit(NEW_STATE, f"        if not members:\n    {NEW_STATE}", "population"),
    ),
    _lost("52a", "t", "np.array(0)"),
    _lost("52b", "key", "np.array(17)"),
    _lost("52c", "order", "np.arange(EXAMPLES)"),
    _lost("52d", "lowest", "np.array(np.inf)"),
    _mutant(
        "53",
        "the mean over unequal shards is the mean of their means",
        "weighting",
        "training.sharded_mean",
        Edit(
            "sum(np.sum(shard) for shard in shards) / sum(len(shard) for shard in shards)",
            "np.mean([np.mean(shard) for shard in shards])",
        ),
    ),
)
