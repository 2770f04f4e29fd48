"""Rows 1 to 6, 15 to 20 and 49: backward passes, penalties, dropout, the checker of gradients."""

from scripts.mutants.planting import Edit, Mutant

BACKWARD = "mlp.backward"
DB = "db = np.sum(dZ, axis=1, keepdims=True) / m"

MUTANTS = (
    Mutant(
        "1a",
        "the gradient of a network lacks 1/m",
        ("factor m",),
        BACKWARD,
        (
            Edit("cache.A_prev.T / m", "cache.A_prev.T", "backward"),
            Edit("keepdims=True) / m", "keepdims=True)", "backward"),
        ),
        by=("contract", "gradient check"),
    ),
    Mutant(
        "1b",
        "the gradient of logistic regression lacks 1/m",
        ("factor m",),
        "logistic_regression.gradients",
        (
            Edit("X @ dZ.T / m", "X @ dZ.T", "gradients"),
            Edit("np.sum(dZ) / m", "np.sum(dZ)", "gradients"),
        ),
    ),
    Mutant(
        "2",
        "1/m applied twice",
        ("factor 1/m",),
        BACKWARD,
        (
            Edit("cache.A_prev.T / m", "cache.A_prev.T / m / m", "backward"),
            Edit("keepdims=True) / m", "keepdims=True) / m / m", "backward"),
        ),
        by=("contract", "gradient check"),
    ),
    Mutant(
        "3",
        "db summed over the wrong axis",
        ("axis",),
        BACKWARD,
        (Edit("np.sum(dZ, axis=1, keepdims=True)", "np.sum(dZ, axis=0, keepdims=True).T"),),
        by=("contract", "gradient check"),
    ),
    Mutant(
        "4",
        "dW uses A[l] instead of A[l−1]",
        ("other layer's array",),
        BACKWARD,
        (Edit("cache.A_prev.T", "cache.A.T", "backward"),),
    ),
    Mutant(
        "5",
        "g′ evaluated at A instead of Z",
        ("derivative at activation",),
        BACKWARD,
        (Edit("g_derivative(cache.Z)", "g_derivative(cache.A)", "deltas"),),
        by=("contract", "gradient check"),
    ),
    Mutant(
        "6",
        "W not transposed in the backward pass",
        ("transpose",),
        BACKWARD,
        (Edit("array(W).T @ dZ", "array(W) @ dZ", "deltas"),),
    ),
    Mutant(
        "15a",
        "L2 in the cost but not in the gradient",
        ("missing term λW",),
        BACKWARD,
        (Edit(" + dW_penalty", "", "backward"),),
        by=("contract", "gradient check"),
    ),
    Mutant(
        "15b",
        "L2 in the gradient but not in the cost",
        ("missing term λW",),
        "mlp.cost",
        (Edit(" + regularizers.l2_cost(params, l2, m)", "", "cost"),),
        by=("contract", "gradient check"),
    ),
    Mutant(
        "16a",
        "the penalty's gradient decays the biases too",
        ("extra term on biases",),
        "regularizers.l2_gradient",
        (Edit("np.zeros(np.shape(b))", "lam / m * array(b)", "l2_gradient"),),
    ),
    Mutant(
        "16b",
        "the network's gradient decays the biases too",
        ("extra term on biases",),
        BACKWARD,
        (Edit(DB, DB + " + l2 / m * array(params[len(grads)][1])", "backward"),),
        by=("contract", "gradient check"),
    ),
    Mutant(
        "16c",
        "the penalty counts the biases too",
        ("extra term on biases",),
        "regularizers.l2_cost",
        (
            Edit(
                "np.sum(array(W) ** 2) for W, _ in params",
                "np.sum(array(p) ** 2) for layer in params for p in layer",
                "l2_cost",
            ),
        ),
    ),
    Mutant(
        "16d",
        "γ and β decayed too",
        ("extra term on biases",),
        "regularizers.l2",
        (Edit("jnp.ndim(leaf) >= 2", "jnp.ndim(leaf) >= 1", "is_weight"),),
        source="jaxnet/regularizers.py",
        by=("diagnosis",),
    ),
    Mutant(
        "18",
        "sign(0) taken as 1 in L1",
        ("kink convention",),
        "regularizers.l1_gradient",
        (Edit("np.sign(array(W))", "np.where(array(W) >= 0, 1.0, -1.0)", "l1_gradient"),),
    ),
    Mutant(
        "19a",
        "dropout without rescaling",
        ("factor keep_prob",),
        "regularizers.apply_mask",
        (Edit("A * D / keep_prob", "A * D", "apply_mask"),),
    ),
    Mutant(
        "19b",
        "dropout without rescaling, with a mask of its own",
        ("factor keep_prob",),
        "regularizers.dropout",
        (Edit("A * D / keep_prob", "A * D", "apply_mask"),),
    ),
    Mutant(
        "20a",
        "no mask in the backward pass",
        ("mask",),
        BACKWARD,
        (Edit("if cache.mask is not None:", "if False:", "deltas"),),
        by=("contract", "gradient check"),
    ),
    Mutant(
        "20b",
        "another mask in the backward pass",
        ("mask",),
        "mlp.deltas",
        (
            Edit(
                "apply_mask(dA, cache.mask, cache.keep_prob)",
                "apply_mask(dA, np.random.default_rng(7).permuted(cache.mask, axis=1), "
                "cache.keep_prob)",
                "deltas",
            ),
        ),
    ),
    Mutant(
        "20c",
        "another mask in the backward pass, seen in dW and db",
        ("mask",),
        BACKWARD,
        (
            Edit(
                "apply_mask(dA, cache.mask, cache.keep_prob)",
                "apply_mask(dA, np.random.default_rng(7).permuted(cache.mask, axis=1), "
                "cache.keep_prob)",
                "deltas",
            ),
        ),
        by=("contract", "gradient check"),
    ),
    Mutant(
        "21a",
        "dropout active at evaluation",
        ("train mode at evaluation",),
        "mlp.forward",
        (
            Edit("class Cache(", "RNG = np.random.default_rng(5)\n\n\nclass Cache("),
            Edit(
                "        A = ACTIVATIONS[hidden][0](Z)\n",
                "        A = ACTIVATIONS[hidden][0](Z)\n"
                "        A = regularizers.dropout(RNG, A, 0.8)[0] if masks is None else A\n",
                "forward",
            ),
        ),
    ),
    Mutant(
        "49a",
        "the gradient check is one-sided",
        ("the checker itself",),
        "gradient_check.central_differences",
        (
            Edit(
                "lambda up, down, _: (J(up) - J(down)) / (2 * eps)",
                "lambda up, _, middle: (J(up) - J(middle)) / eps",
                "central_differences",
            ),
        ),
    ),
    Mutant(
        "49b",
        "θ is not restored after a coordinate was moved",
        ("the checker itself",),
        "gradient_check.central_differences",
        (
            Edit("    slopes = []\n", "    slopes, up, down = [], theta.copy(), theta.copy()\n"),
            Edit(
                "up, down, middle = theta.copy(), theta.copy(), theta.copy()",
                "middle = theta.copy()",
                "_each",
            ),
        ),
    ),
    Mutant(
        "49c",
        "dropout left on during a gradient check",
        ("the checker itself", "not a function of its arguments"),
        "mlp.cost",
        (
            Edit("class Cache(", "RNG = np.random.default_rng(5)\n\n\nclass Cache("),
            Edit(
                "        A = ACTIVATIONS[hidden][0](Z)\n",
                "        A = regularizers.dropout(RNG, ACTIVATIONS[hidden][0](Z), 0.8)[0]\n",
                "forward",
            ),
        ),
        by=("contract", "gradient check"),
    ),
    Mutant(
        "49d",
        "the gradient check leaves the biases out",
        ("the checker itself",),
        "gradient_check.flatten",
        (Edit("for leaf in layer]", "for leaf in layer[:1]]", "flatten"),),
    ),
)
