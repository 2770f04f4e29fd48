"""Rows 25 to 36: update rules, learning-rate decay and clipping."""

from scripts.mutants.planting import Edit, Mutant

MOMENTUM, RMSPROP, ADAM = (
    "optimizers.momentum_update",
    "optimizers.rmsprop_update",
    "optimizers.adam_update",
)

V_HAT = "v_hat = _map(lambda V: V / (1 - b1**t), v)"
S_HAT = "s_hat = _map(lambda S: S / (1 - b2**t), s)"

# Bias correction by a count of its own for each array.
PER_ARRAY = (
    Edit(
        V_HAT,
        "counts = iter(range(t, t + 10**6))\n"
        "    v_hat = _map(lambda V: V / (1 - b1 ** next(counts)), v)",
        "adam_update",
    ),
    Edit(
        S_HAT,
        "counts = iter(range(t, t + 10**6))\n"
        "    s_hat = _map(lambda S: S / (1 - b2 ** next(counts)), s)",
        "adam_update",
    ),
)

MUTANTS = (
    Mutant(
        "25a",
        "RMSprop's ε inside the square root",
        ("ε placement",),
        RMSPROP,
        (Edit("(np.sqrt(S) + eps)", "np.sqrt(S + eps)", "rmsprop_update"),),
        by=("contract", "trajectory"),
    ),
    Mutant(
        "25b",
        "Adam's ε inside the square root",
        ("ε placement",),
        ADAM,
        (Edit("(np.sqrt(S) + eps)", "np.sqrt(S + eps)", "adam_update"),),
        by=("contract", "trajectory"),
    ),
    Mutant(
        "26",
        "no bias correction",
        ("bias correction",),
        ADAM,
        (
            Edit("V / (1 - b1**t)", "V", "adam_update"),
            Edit("S / (1 - b2**t)", "S", "adam_update"),
        ),
        by=("contract", "trajectory"),
    ),
    Mutant(
        "27",
        "t starts at 0: the correction is taken before t is counted up",
        ("off by one in t",),
        ADAM,
        (Edit("**t)", "**state.t)", "adam_update", times=2),),
        by=("contract", "trajectory"),
    ),
    Mutant(
        "28a",
        "t counts each parameter array",
        ("t",),
        ADAM,
        PER_ARRAY,
        by=("contract", "trajectory"),
    ),
    Mutant(
        "28b",
        "t restarts every epoch, here of four updates",
        ("t",),
        ADAM,
        (Edit("**t)", "**(state.t % 4 + 1))", "adam_update", times=2),),
        by=("contract", "trajectory"),
    ),
    Mutant(
        "29a",
        "momentum changes the parameters in place",
        ("aliasing",),
        MOMENTUM,
        (
            Edit(
                "lambda W, V: W - learning_rate * V",
                "lambda W, V: np.subtract(W, learning_rate * V, out=W)",
                "momentum_update",
            ),
        ),
    ),
    Mutant(
        "29b",
        "gradient descent scales the gradients in place",
        ("aliasing",),
        "optimizers.gradient_descent_update",
        (
            Edit(
                "W - learning_rate * dW",
                "W - np.multiply(dW, learning_rate, out=dW)",
                "gradient_descent_update",
            ),
        ),
    ),
    Mutant(
        "29c",
        "Adam updates its averages in place",
        ("aliasing",),
        ADAM,
        (
            Edit(
                "lambda V, dW: b1 * V + (1 - b1) * dW",
                "lambda V, dW: np.add(b1 * V, (1 - b1) * dW, out=V)",
                "adam_update",
            ),
        ),
    ),
    Mutant(
        "30a",
        "RMSprop's second moment uses g, not g²",
        ("moment",),
        RMSPROP,
        (Edit("(1 - beta) * dW**2", "(1 - beta) * dW", "rmsprop_update"),),
        by=("contract", "trajectory"),
    ),
    Mutant(
        "30b",
        "Adam's second moment uses |g|, not g²",
        ("moment",),
        ADAM,
        (Edit("(1 - b2) * dW**2", "(1 - b2) * np.abs(dW)", "adam_update"),),
        by=("contract", "trajectory"),
    ),
    Mutant(
        "31",
        "trace β·v + g in place of the average β·v + (1−β)·g",
        ("factor 1−β",),
        MOMENTUM,
        (Edit("beta * V + (1 - beta) * dW", "beta * V + dW", "momentum_update"),),
        by=("contract", "trajectory"),
    ),
    Mutant(
        "32",
        "the learning rate baked into the velocity",
        ("stale learning rate",),
        MOMENTUM,
        (
            Edit("(1 - beta) * dW", "(1 - beta) * learning_rate * dW", "momentum_update"),
            Edit("W - learning_rate * V", "W - V", "momentum_update"),
        ),
        by=("contract", "trajectory"),
    ),
    Mutant(
        "33",
        "decay compounds on the decayed rate",
        ("compounding",),
        "schedules.inverse_time",
        (
            Edit(
                "return learning_rate / (1 + decay_rate * epoch)",
                "return np.vectorize(\n"
                "        lambda e: learning_rate / np.prod(1 + decay_rate * np.arange(1, e + 1))\n"
                "    )(epoch)",
                "inverse_time",
            ),
        ),
    ),
    Mutant(
        "34",
        "decay per step instead of per epoch, here of five steps",
        ("unit of t",),
        "schedules.exponential",
        (Edit("base**epoch", "base ** (5 * epoch)", "exponential"),),
    ),
    Mutant(
        "36",
        "V_db computed from V_dW",
        ("other array",),
        MOMENTUM,
        (
            Edit(
                "v = _map(lambda V, dW: beta * V + (1 - beta) * dW, state.v, grads)",
                "v = [\n"
                "        (V_W := beta * V[0] + (1 - beta) * d[0], *[\n"
                "            beta * np.mean(V[0], 1, keepdims=True) + (1 - beta) * db\n"
                "            for db in d[1:]\n"
                "        ])\n"
                "        for V, d in zip(state.v, grads)\n"
                "    ]",
                "momentum_update",
            ),
        ),
        by=("contract", "trajectory"),
    ),
)
