"""Ten bugs planted in copies of the reference's backward pass, each in one layer of five."""

from typing import NamedTuple

from scripts.mutants.planting import Edit, Mutant

LAYERS = 5

DW = "dW = dZ @ cache.A_prev.T / m + dW_penalty"
DB = "db = np.sum(dZ, axis=1, keepdims=True) / m"
DELTA_L = "dZ = caches[-1].A - Y"
DA = "dA = array(W).T @ dZ"
SLOPE = "dZ = dA * g_derivative(cache.Z)"


class Bug(NamedTuple):
    """A planted bug; first: the first array in backward order that it makes wrong."""

    mutant: Mutant
    first: str


def _bug(name: str, first: str, old: str, new: str, within: str) -> Bug:
    return Bug(Mutant(name, name, (name,), "mlp.backward", (Edit(old, new, within),)), first)


def _in_backward(layer: int) -> str:
    """Whether `backward` is at that layer: it goes from the first to the last."""
    return f"len(grads) == {layer - 1}"


def _in_deltas(layer: int) -> str:
    """Whether `deltas` is at that layer: it goes from the last but one to the first."""
    return f"len(dZs) == {LAYERS - layer}"


BUGS = (
    _bug("dZ[5] = Y − A", "dW[5]", DELTA_L, "dZ = Y - caches[-1].A", "deltas"),
    _bug(
        "dZ[5] times A (1 − A)",
        "dW[5]",
        DELTA_L,
        "dZ = (caches[-1].A - Y) * caches[-1].A * (1 - caches[-1].A)",
        "deltas",
    ),
    _bug("db[5] without 1/m", "db[5]", DB, f"{DB} * (m if {_in_backward(5)} else 1)", "backward"),
    _bug(
        "W[5]ᵀ dZ[5] with its rows reversed",
        "dW[4]",
        DA,
        f"dA = array(W[:, ::-1] if {_in_deltas(4)} else W).T @ dZ",
        "deltas",
    ),
    _bug(
        "dW[4] with A[4] for A[3]",
        "dW[4]",
        DW,
        f"dW = dZ @ (cache.A if {_in_backward(4)} else cache.A_prev).T / m + dW_penalty",
        "backward",
    ),
    _bug(
        "W[4] not transposed on the way back",
        "dW[3]",
        DA,
        f"dA = (array(W) if {_in_deltas(3)} else array(W).T) @ dZ",
        "deltas",
    ),
    _bug(
        "b[3] decays like a weight",
        "db[3]",
        DB,
        f"{DB} + (l2 / m * array(params[2][1]) if {_in_backward(3)} else 0)",
        "backward",
    ),
    _bug(
        "g′ of A[2] for g′ of Z[2]",
        "dW[2]",
        SLOPE,
        f"dZ = dA * g_derivative(cache.A if {_in_deltas(2)} else cache.Z)",
        "deltas",
    ),
    _bug(
        "no λW in dW[2]",
        "dW[2]",
        DW,
        f"dW = dZ @ cache.A_prev.T / m + (0 if {_in_backward(2)} else dW_penalty)",
        "backward",
    ),
    _bug(
        "one entry of dW[1] left out",
        "dW[1]",
        DW,
        f"{DW}\n        dW[0, 0] *= 0 if {_in_backward(1)} else 1",
        "backward",
    ),
)

ON_BIASES = Mutant(
    "biases decay",
    "every bias decays like a weight",
    ("extra term on biases",),
    "mlp.backward",
    (Edit(DB, DB + " + l2 / m * array(params[len(grads)][1])", "backward"),),
)
