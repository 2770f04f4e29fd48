"""Bugs written after the hypotheses were, in networks and update rules.

The names were set down before the first run. What `unlisted` holds was looked at while the
hypotheses were made; these were not, so their first score says more about a bug that a user has:
of the 58 here and in `fresh_data` all were caught and 34 named.
"""

from scripts.mutants.planting import Edit, Mutant

RIGHT = "scripts/mutants/right.py"


def fresh(
    number: int,
    bug: str,
    names: tuple[str, ...],
    contract: str,
    *edits: tuple[str, str],
    within: str = "",
    source: str = "",
) -> Mutant:
    """A mutant whose edits all lie in one function, by default the contract's own."""
    place = within or contract.split(".")[-1]
    planted = tuple(Edit(old, new, place) for old, new in edits)
    return Mutant(f"v{number}", bug, names, contract, planted, source=source)


BACKWARD, MOMENTUM = "mlp.backward", "optimizers.momentum_update"
RMSPROP, ADAM = "optimizers.rmsprop_update", "optimizers.adam_update"

MUTANTS = (
    fresh(
        1,
        "the penalty's gradient without 1/m",
        ("factor m", "missing factor 1/m", "missing factor m"),
        BACKWARD,
        ("+ dW_penalty", "+ m * dW_penalty"),
    ),
    fresh(
        2,
        "g′ of the output taken as well as A − Y",
        ("derivative", "extra factor", "factor sigmoid′", "factor σ′", "factor g′"),
        BACKWARD,
        ("dZ = caches[-1].A - Y", "dZ = (caches[-1].A - Y) * caches[-1].A * (1 - caches[-1].A)"),
        within="deltas",
    ),
    fresh(
        3,
        "keep_prob divided by twice in the backward pass",
        ("factor 1/keep_prob", "factor keep_prob", "square of keep_prob"),
        BACKWARD,
        ("cache.mask, cache.keep_prob)", "cache.mask, cache.keep_prob) / cache.keep_prob"),
        within="deltas",
    ),
    fresh(
        4,
        "σ in the hidden layers whatever was asked",
        ("other function", "sigmoid", "hidden"),
        "mlp.forward",
        ("ACTIVATIONS[hidden][0](Z)", 'ACTIVATIONS["sigmoid"][0](Z)'),
    ),
    fresh(
        5,
        "db not divided in the loop",
        ("factor m",),
        "logistic_regression.gradients_loop",
        ("db /= m", "db /= 1"),
    ),
    fresh(
        6,
        "the loop leaves the last example out",
        ("missing rows",),
        "logistic_regression.gradients_loop",
        ("for i in range(m)", "for i in range(m - 1)"),
    ),
    fresh(
        7,
        "decisions, 0 or 1, in place of probabilities in the gradient",
        ("rounded", "saturation", "threshold"),
        "logistic_regression.gradients",
        ("A = forward(w, b, X)", "A = np.round(forward(w, b, X))"),
    ),
    fresh(
        8,
        "the norm in place of its square",
        ("missing square", "root", "square root", "power", "norm"),
        "regularizers.l2_cost",
        ("np.sum(array(W) ** 2)", "np.sqrt(np.sum(array(W) ** 2))"),
    ),
    fresh(
        9,
        "only the first layer's weights are penalised",
        ("missing term",),
        "regularizers.l2_cost",
        ("for W, _ in params)", "for W, _ in params[:1])"),
    ),
    fresh(
        10,
        "the soft threshold without the learning rate",
        ("missing factor α", "factor 1/α", "factor α"),
        "regularizers.proximal_l1",
        ("learning_rate * lam / (2 * m)", "lam / (2 * m)"),
    ),
    fresh(
        11,
        "a hard threshold in place of the soft one",
        ("hard threshold", "missing term"),
        "regularizers.proximal_l1",
        (
            "np.sign(array(W)) * np.maximum(np.abs(W) - threshold, 0)",
            "np.where(np.abs(W) > threshold, array(W), 0)",
        ),
    ),
    fresh(
        12,
        "biases shrink too",
        ("extra term on biases",),
        "regularizers.weight_decay_update",
        ("b = array(b) - ", "b = (1 - learning_rate * lam / m) * array(b) - "),
    ),
    fresh(
        13,
        "RMSprop divides by the average from before",
        ("another step's array", "stale", "previous step"),
        RMSPROP,
        ("params, grads, s)", "params, grads, state.s)"),
    ),
    fresh(
        14,
        "no ε",
        ("ε", "missing term ε", "ε placement"),
        RMSPROP,
        ("(np.sqrt(S) + eps)", "np.sqrt(S)"),
    ),
    fresh(
        15,
        "the first moment corrected by β₂",
        ("β₂ in place of β₁", "swapped"),
        ADAM,
        ("V / (1 - b1**t)", "V / (1 - b2**t)"),
    ),
    fresh(
        16,
        "Nesterov's first moment in Adam",
        ("Nesterov",),
        ADAM,
        (
            "v_hat = _map(lambda V: V / (1 - b1**t), v)",
            "v_hat = _map(lambda V, dW: (b1 * V + (1 - b1) * dW) / (1 - b1**t), v, grads)",
        ),
    ),
    fresh(
        17,
        "ε before the correction of the second moment",
        ("ε placement",),
        ADAM,
        ("S / (1 - b2**t), s)", "S, s)"),
        (
            "W - learning_rate * V / (np.sqrt(S) + eps)",
            "W - learning_rate * np.sqrt(1 - b2**t) * V / (np.sqrt(S) + eps)",
        ),
    ),
    fresh(
        18,
        "the second moment is one number for each array",
        ("one number for an array", "mean", "axis", "broadcast"),
        ADAM,
        ("(1 - b2) * dW**2", "(1 - b2) * np.mean(dW**2)"),
    ),
    fresh(
        19,
        "the learning rate halved",
        ("factor ½", "factor 1/2"),
        "optimizers.gradient_descent_update",
        ("W - learning_rate * dW", "W - learning_rate / 2 * dW"),
    ),
    fresh(
        20,
        "biases are never updated",
        ("missing term", "stale", "first value kept", "another step's array"),
        "optimizers.gradient_descent_update",
        ("W - learning_rate * dW", "W - learning_rate * dW * (dW.shape[1] > 1)"),
    ),
    fresh(
        21,
        "the square of the epoch",
        ("square",),
        "schedules.inverse_time",
        ("decay_rate * epoch", "decay_rate * epoch**2"),
    ),
    fresh(
        22,
        "the factor times the stair, not to its power",
        ("power", "product", "product in place of power"),
        "schedules.staircase",
        ("factor ** np.floor(", "factor * np.floor("),
    ),
    fresh(
        23,
        "the base's share taken off in place of kept",
        ("complement", "1−base in place of base"),
        "schedules.exponential",
        ("base**epoch", "(1 - base) ** epoch"),
    ),
    fresh(
        24,
        "corrected by multiplication",
        ("reciprocal", "inverse", "sign of the exponent", "factor (1−βᵗ)²", "swapped"),
        "averages.exponentially_weighted",
        ("V / (1 - beta**t)", "V * (1 - beta**t)"),
    ),
    fresh(
        25,
        "no factor on the new value",
        ("missing factor 1−β", "factor 1−β"),
        "averages.exponentially_weighted",
        ("(1 - beta) * theta_t", "theta_t"),
    ),
    fresh(
        26,
        "the step divided by the number of examples once more",
        ("factor 1/m",),
        "training.step",
        (
            'PROGRAMS["step"](params, x, y, learning_rate)',
            'PROGRAMS["step"](params, x, y, learning_rate / y.size)',
        ),
        source=RIGHT,
    ),
    fresh(
        27,
        "shards padded with zeros to one length",
        ("weighting", "padding"),
        "training.sharded_mean",
        ("sum(len(shard) for shard in shards)", "(len(shards) * max(map(len, shards)))"),
        source=RIGHT,
    ),
    fresh(
        28,
        "two augmentations in turn",
        ("reused key",),
        "training.augmented_epochs",
        ("    return each", "    return [each[i % 2] for i in range(epochs)]"),
        source=RIGHT,
    ),
    fresh(
        29,
        "early stopping counts all bad epochs, not those in a row",
        ("in a row", "patience", "counts all"),
        "training.early_stopping_loop",
        ("np.array(params), cost, 0", "np.array(params), cost, waited"),
        source=RIGHT,
    ),
    fresh(
        30,
        "clipped to the squared norm",
        ("missing sqrt", "missing root", "square", "root"),
        "clipping.global_norm",
        (
            "np.sqrt(sum(np.sum(g**2) for layer in grads for g in layer))",
            "sum(np.sum(g**2) for layer in grads for g in layer)",
        ),
        source=RIGHT,
    ),
)
