"""Bugs that nobody listed, in the networks and the update rules: how general are the hypotheses?

The names are what a person would say of the bug; any of them counts.
"""

from scripts.mutants.planting import Edit, Mutant


def _mutant(
    number: int, bug: str, names: tuple[str, ...], contract: str, *edits: tuple[str, str]
) -> Mutant:
    """A mutant whose edits all lie in the function that the contract names."""
    within = contract.split(".")[-1]
    planted = tuple(Edit(old, new, within) for old, new in edits)
    return Mutant(f"u{number}", bug, names, contract, planted)


def _below(mutant: Mutant, within: str) -> Mutant:
    """The same with its edits in a function that the contract's own calls."""
    return mutant._replace(edits=tuple(edit._replace(within=within) for edit in mutant.edits))


BACKWARD, FORWARD = "mlp.backward", "mlp.forward"
MOMENTUM, RMSPROP, ADAM = (
    "optimizers.momentum_update",
    "optimizers.rmsprop_update",
    "optimizers.adam_update",
)

MUTANTS = (
    _mutant(
        1,
        "½ forgotten in the squared error",
        ("factor 2",),
        "losses.squared_error",
        (", axis=0) / 2", ", axis=0)"),
    ),
    _mutant(
        2,
        "the penalty's gradient has the wrong sign",
        ("sign",),
        BACKWARD,
        ("+ dW_penalty", "- dW_penalty"),
    ),
    _mutant(
        3,
        "β₁ and β₂ swapped",
        ("swapped", "β₂ in place of β₁", "β₁ in place of β₂"),
        ADAM,
        ("b1 * V + (1 - b1) * dW", "b2 * V + (1 - b2) * dW"),
        ("b2 * S + (1 - b2) * dW**2", "b1 * S + (1 - b1) * dW**2"),
        ("V / (1 - b1**t)", "V / (1 - b2**t)"),
        ("S / (1 - b2**t)", "S / (1 - b1**t)"),
    ),
    _mutant(
        4,
        "the second moment is not corrected",
        ("bias correction",),
        ADAM,
        ("S / (1 - b2**t)", "S"),
    ),
    _mutant(
        5,
        "softmax over the examples",
        ("axis",),
        "activations.softmax",
        ("np.sum(E, axis=0, keepdims=True)", "np.sum(E, axis=1, keepdims=True)"),
    ),
    _mutant(
        6,
        "tanh′ = 1 − a where 1 − a² is meant",
        ("power", "square", "missing square", "exponent"),
        "activations.tanh_derivative",
        ("4 * sigmoid(2 * Z) * sigmoid(-2 * Z)", "1 - np.tanh(Z)"),
    ),
    _below(
        _mutant(
            7,
            "W of this layer, not of the next, in the backward pass",
            ("other layer's array",),
            BACKWARD,
            ("zip(params[:0:-1], ", "zip(params[-2::-1], "),
        ),
        "deltas",
    ),
    _below(
        _mutant(
            8,
            "keep_prob forgotten in the backward pass",
            ("factor keep_prob",),
            BACKWARD,
            ("apply_mask(dA, cache.mask, cache.keep_prob)", "apply_mask(dA, cache.mask, 1.0)"),
        ),
        "deltas",
    ),
    _below(
        _mutant(
            9,
            "g′ forgotten",
            ("missing factor g′", "missing factor", "derivative"),
            BACKWARD,
            ("dA * g_derivative(cache.Z)", "dA"),
        ),
        "deltas",
    ),
    _below(
        _mutant(
            10,
            "A and Y swapped in dZ[L]",
            ("sign",),
            BACKWARD,
            ("caches[-1].A - Y", "Y - caches[-1].A"),
        ),
        "deltas",
    ),
    _mutant(
        11,
        "A[l−1] not transposed, layers as wide as the batch",
        ("transpose",),
        BACKWARD,
        ("cache.A_prev.T", "cache.A_prev"),
    ),
    _mutant(
        12,
        "the bias added twice",
        ("extra term", "factor 2"),
        FORWARD,
        ("W @ A_prev + b", "W @ A_prev + b + b"),
    ),
    _mutant(
        13,
        "the bias left out",
        ("missing term",),
        FORWARD,
        ("W @ A_prev + b", "W @ A_prev"),
    ),
    _mutant(
        14,
        "db divided by the number of units",
        ("factor m",),
        BACKWARD,
        ("keepdims=True) / m", "keepdims=True) / len(dZ)"),
    ),
    _mutant(
        15,
        "the gradient of the last example only",
        ("missing rows", "last"),
        BACKWARD,
        ("dZ @ cache.A_prev.T / m", "dZ[:, -1:] @ cache.A_prev[:, -1:].T / m"),
        ("np.sum(dZ, axis=1", "np.sum(dZ[:, -1:], axis=1"),
    ),
    _mutant(
        16,
        "layers returned in reverse order",
        ("other layer's array", "permutation", "order"),
        BACKWARD,
        ("return grads", "return grads[::-1]"),
    ),
    _mutant(
        17,
        "the penalty's gradient halved",
        ("factor 1/2", "factor ½"),
        "regularizers.l2_gradient",
        ("lam / m * array(W)", "lam / (2 * m) * array(W)"),
    ),
    _mutant(
        18,
        "the L1 gradient without its sign",
        ("sign", "missing factor", "absolute value"),
        "regularizers.l1_gradient",
        ("np.sign(array(W))", "np.ones(np.shape(W))"),
    ),
    _mutant(
        19,
        "the penalty without m",
        ("factor m",),
        "regularizers.l2_cost",
        ("lam / (2 * m)", "lam / 2"),
    ),
    _mutant(
        20,
        "weight decay without the learning rate",
        ("missing factor", "factor α", "factor learning_rate", "factor 1/α"),
        "regularizers.weight_decay_update",
        ("1 - learning_rate * lam / m", "1 - lam / m"),
    ),
    _mutant(
        21,
        "the learning rate squared",
        ("factor α", "factor learning_rate", "extra factor"),
        MOMENTUM,
        ("W - learning_rate * V", "W - learning_rate**2 * V"),
    ),
    _mutant(
        22,
        "the update uses the velocity from before",
        ("another step's array", "stale", "previous step"),
        MOMENTUM,
        ("params, v)", "params, state.v)"),
    ),
    _mutant(
        23,
        "Adam's update uses the averages from before",
        ("another step's array", "stale", "previous step"),
        ADAM,
        ("V / (1 - b1**t), v)", "V / (1 - b1**t), state.v)"),
    ),
    _mutant(
        24,
        "ε a hundred times too large",
        ("ε", "ε placement", "other constant"),
        RMSPROP,
        ("np.sqrt(S) + eps", "np.sqrt(S) + 100 * eps"),
    ),
    _mutant(
        25,
        "ascent: the step is added",
        ("sign",),
        "optimizers.gradient_descent_update",
        ("W - learning_rate * dW", "W + learning_rate * dW"),
    ),
    _mutant(
        26,
        "β and 1 − β swapped",
        ("swapped", "1−β in place of β"),
        MOMENTUM,
        ("beta * V + (1 - beta) * dW", "(1 - beta) * V + beta * dW"),
    ),
    _mutant(
        27,
        "Nesterov's look ahead",
        ("Nesterov",),
        MOMENTUM,
        (
            "params = _map(lambda W, V: W - learning_rate * V, params, v)",
            "params = _map(\n"
            "        lambda W, V, dW: W - learning_rate * (beta * V + (1 - beta) * dW),\n"
            "        params, v, grads,\n"
            "    )",
        ),
    ),
    _mutant(
        28,
        "the square root forgotten in RMSprop",
        ("root", "missing root", "missing sqrt", "square root", "power"),
        RMSPROP,
        ("np.sqrt(S) + eps", "S + eps"),
    ),
    _mutant(
        29,
        "t one too large",
        ("off by one in t",),
        ADAM,
        ("V / (1 - b1**t)", "V / (1 - b1 ** (t + 1))"),
        ("S / (1 - b2**t)", "S / (1 - b2 ** (t + 1))"),
    ),
    _mutant(
        30,
        "decay begins at epoch 1",
        ("off by one in t", "off by one"),
        "schedules.exponential",
        ("base**epoch", "base ** np.maximum(epoch - 1, 0)"),
    ),
    _mutant(
        31,
        "the root forgotten in the decay",
        ("root", "missing root", "missing sqrt", "square root", "power", "square"),
        "schedules.inverse_sqrt",
        ("np.sqrt(epoch)", "epoch"),
    ),
    _mutant(
        32,
        "stairs rounded up",
        ("off by one in t", "rounding", "ceiling", "floor", "kink convention"),
        "schedules.staircase",
        ("np.floor(epoch / epochs_per_stair)", "np.ceil(epoch / epochs_per_stair)"),
    ),
    _mutant(
        33,
        "clipping by value",
        ("norm", "value", "clipped", "saturation"),
        "clipping.global_norm",
        ("g * factor", "np.clip(g, -limit, limit)"),
    )._replace(source="scripts/mutants/right.py"),
    _mutant(
        34,
        "short gradients scaled up to the limit as well",
        ("norm", "missing minimum", "clipped", "minimum"),
        "clipping.global_norm",
        ("min(1.0, limit / norm)", "limit / norm"),
    )._replace(source="scripts/mutants/right.py"),
    _mutant(
        35,
        "dropout not rescaled at evaluation, as before it was inverted",
        ("factor keep_prob",),
        "layers.dropout",
        ("    return A", "    return A if train else A * keep_prob"),
    )._replace(source="scripts/mutants/right.py"),
)
