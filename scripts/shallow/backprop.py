"""The six equations of backpropagation, for one example and for m examples at once.

Networks of one hidden layer and one sigmoid output, with random sizes, parameters, inputs and
labels, in float64. The equations are written here as the notes have them; they are held against
jaxnet differentiated by jax.grad (dZ as the gradient of offsets added to Z), against
reference_numpy, and against central differences of the cost. Equation 3.35 is also run as it is
printed. Answers figures 25 to 29 of the notes.
"""

from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from jaxnet import losses
from jaxnet.crosscheck import bounds, compare, layout
from jaxnet.gradcheck import CORRECT, WRONG
from jaxnet.models import forward_pass
from reference_numpy import gradient_check, mlp
from reference_numpy.activations import ACTIVATIONS, sigmoid
from scripts.harness import (
    TRUE,
    Claim,
    above,
    at_most,
    exact,
    new_figure,
    run_alone,
)
from scripts.shallow._backprop_drawing import draw_equations, draw_errors, draw_graph

TITLE = "Backpropagation through one hidden layer"
NOTES_SECTION = "Backpropagation intuition"
NOTES_FIGURES = (25, 26, 27, 28, 29)

HIDDEN = ("sigmoid", "tanh", "relu")
DRAWN = (3, 4, 7)  # n_x, n[1] and m of the network in the figure, which is the first case
EPS = 6e-6  # of the differences: the cube root of 2⁻⁵², which balances truncation and rounding

GRADIENTS = ("dW2", "db2", "dW1", "db1")

Arrays: TypeAlias = dict[str, np.ndarray]


class Case(NamedTuple):
    """A network in the notes' layout: params [(W1, b1), (W2, b2)], X (n_x, m), Y (1, m)."""

    params: list[tuple[np.ndarray, np.ndarray]]
    X: np.ndarray
    Y: np.ndarray
    hidden: str

    def example(self, i: int) -> "Case":
        return self._replace(X=self.X[:, i : i + 1], Y=self.Y[:, i : i + 1])


def one_example(case: Case) -> Arrays:
    """The six equations for a single example, x (n_x, 1), y (1, 1) (fig. 27)."""
    (W1, b1), (W2, b2) = case.params
    x, y = case.X, case.Y
    g, g_derivative = ACTIVATIONS[case.hidden]
    z1 = W1 @ x + b1
    a1 = g(z1)
    z2 = W2 @ a1 + b2
    a2 = sigmoid(z2)

    dz2 = a2 - y
    dW2 = dz2 @ a1.T
    db2 = dz2
    dz1 = W2.T @ dz2 * g_derivative(z1)
    dW1 = dz1 @ x.T
    db1 = dz1
    return {"dZ2": dz2, "dW2": dW2, "db2": db2, "dZ1": dz1, "dW1": dW1, "db1": db1}


def all_examples(case: Case, printed: bool = False) -> Arrays:
    """The six equations for m examples, the columns of X (figs. 25 and 29).

    printed: equation 3.35 as it stands in figure 25, g′ times Z1 for g′ of Z1.
    """
    (W1, b1), (W2, b2) = case.params
    X, Y = case.X, case.Y
    m = X.shape[1]
    g, g_derivative = ACTIVATIONS[case.hidden]
    Z1 = W1 @ X + b1
    A1 = g(Z1)
    Z2 = W2 @ A1 + b2
    A2 = sigmoid(Z2)

    dZ2 = A2 - Y
    dW2 = dZ2 @ A1.T / m
    db2 = np.sum(dZ2, axis=1, keepdims=True) / m
    dZ1 = W2.T @ dZ2 * g_derivative(Z1) * (Z1 if printed else 1)
    dW1 = dZ1 @ X.T / m
    db1 = np.sum(dZ1, axis=1, keepdims=True) / m
    return {"dZ2": dZ2, "dW2": dW2, "db2": db2, "dZ1": dZ1, "dW1": dW1, "db1": db1}


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    cases = [_case(rng, number) for number in range(3 if quick else 9)]
    with jax.enable_x64(True):
        results = [_measure_case(case) for case in cases]
    first = cases[0]
    one = first.example(0)
    _, (hidden, output) = mlp.forward(one.params, one.X, hidden=one.hidden)
    (W1, b1), (W2, b2) = one.params
    forward = {"x": one.X, "W1": W1, "b1": b1, "z1": hidden.Z, "a1": hidden.A}
    forward |= {"W2": W2, "b2": b2, "z2": output.Z, "a2": output.A, "y": one.Y}
    return {
        "errors": {name: np.array([result[name] for result in results]) for name in results[0]},
        "sizes": [(case.X.shape[0], len(case.params[0][0]), case.X.shape[1]) for case in cases],
        "forward": forward,
        "one": one_example(one),
        "all": all_examples(first),
        "without_keepdims": _without_keepdims(first),
    }


def _case(rng: np.random.Generator, number: int) -> Case:
    """Random network and data; sizes that differ from each other, so that no transpose fits."""
    sizes = DRAWN if number == 0 else rng.choice(np.arange(2, 13), 3, replace=False)
    n_x, n_1, m = map(int, sizes)
    W1, W2 = rng.normal(size=(n_1, n_x)), rng.normal(size=(1, n_1))
    params = [(W1, rng.normal(size=(n_1, 1))), (W2, rng.normal(size=(1, 1)))]
    X, Y = rng.normal(size=(n_x, m)), rng.integers(2, size=(1, m)).astype(np.float64)
    return Case(params, X, Y, HIDDEN[number % len(HIDDEN)])


def _measure_case(case: Case) -> dict[str, Any]:
    """Disagreements of one case: over their bounds, or as the notes' relative distance."""
    m = case.X.shape[1]
    batch, singles = _by_jax(case)
    vectorised, printed = all_examples(case), all_examples(case, printed=True)
    ones = [one_example(case.example(i)) for i in range(m)]
    mean = {name: np.mean([one[name] for one in ones], axis=0) for name in GRADIENTS}
    bound = _bound(case)
    differences = _differences(case)

    def distance(found: Arrays, names: tuple[str, ...] = GRADIENTS) -> float:
        flat = (np.concatenate([a[name].ravel() for name in names]) for a in (found, differences))
        return gradient_check.relative_distance(*flat)

    return {
        "vectorised": _over_bound(vectorised, batch, bound),
        "reference": _over_bound(_by_reference(case), batch, bound),
        "one": max(
            _over_bound(one, single, _bound(case.example(i)))
            for i, (one, single) in enumerate(zip(ones, singles, strict=True))
        ),
        "mean": _over_bound(mean, {name: batch[name] for name in GRADIENTS}, bound),
        "differences": distance(batch),
        "printed": distance(printed),
        "printed_layer1": min(distance(printed, ("dW1",)), distance(printed, ("db1",))),
        "printed_layer2": distance(printed, ("dW2", "db2")),
    }


def _bound(case: Case) -> Arrays:
    """How far two computations in float64 may be apart, entry by entry, by running analysis."""
    Zs, inputs = bounds.forward(case.params, case.X, case.hidden)
    found = bounds.backward(case.params, Zs, inputs, case.Y, case.hidden, "sigmoid")
    return {
        f"{name}{layer}": bounds.tolerance(arrays[layer - 1].error, np.float64, np.float64)
        for name, arrays in found._asdict().items()
        for layer in (1, 2)
    }


def _over_bound(left: Arrays, right: Arrays, bound: Arrays) -> float:
    """Largest disagreement in units of the bound for its entry."""
    bound = {name: bound[name] for name in left}
    return max(leaf.ratio for leaf in compare(left, right, bound=bound).leaves)


def _by_reference(case: Case) -> Arrays:
    _, caches = mlp.forward(case.params, case.X, hidden=case.hidden)
    dZs = mlp.deltas(case.params, caches, case.Y)
    return _named(dZs, mlp.backward(case.params, caches, case.Y))


def _by_jax(case: Case) -> tuple[Arrays, list[Arrays]]:
    """By jax.grad of jaxnet: the gradient of the cost, and that of every example's loss."""

    def cost(params, offsets, x, y):
        forward = forward_pass(params, (), x, activation=case.hidden, offsets=offsets)
        return losses.cost(losses.binary_cross_entropy(forward.zs[-1][:, 0], y))

    @jax.jit
    def gradients(params, x, y):
        def of(x, y):
            offsets = [jnp.zeros((len(x), layer.b.size)) for layer in params]
            return jax.grad(cost, argnums=(0, 1))(params, offsets, x, y)

        return of(x, y), jax.vmap(of)(x[:, None], y[:, None])

    def named(found, m):
        params, offsets = found
        return _named([m * layout.columns(offset) for offset in offsets], layout.pairs(params))

    x, y = layout.rows(case.X, np.float64), layout.targets(case.Y, np.float64)
    found = gradients(layout.layers(case.params, np.float64), x, y)
    batch, singles = jax.tree.map(np.asarray, found)
    single = [named(jax.tree.map(itemgetter(i), singles), 1) for i in range(len(x))]
    return named(batch, len(x)), single


def _named(dZs: list[np.ndarray], grads: list[tuple[np.ndarray, np.ndarray]]) -> Arrays:
    (dZ1, dZ2), ((dW1, db1), (dW2, db2)) = dZs, grads
    return {"dZ2": dZ2, "dW2": dW2, "db2": db2, "dZ1": dZ1, "dW1": dW1, "db1": db1}


def _differences(case: Case) -> Arrays:
    """dW and db by central differences of the reference's cost, coordinate by coordinate."""

    def cost(theta):
        params = gradient_check.unflatten(theta, case.params)
        return mlp.cost(params, case.X, case.Y, hidden=case.hidden)

    theta = gradient_check.flatten(case.params)
    slopes = gradient_check.central_differences(cost, theta, eps=EPS)
    (dW1, db1), (dW2, db2) = gradient_check.unflatten(slopes, case.params)
    return {"dW2": dW2, "db2": db2, "dW1": dW1, "db1": db1}


def _without_keepdims(case: Case) -> tuple[int, ...]:
    """Shape of b1 after an update with a db1 that was summed without keepdims."""
    dZ1 = all_examples(case)["dZ1"]
    return (case.params[0][1] - np.sum(dZ1, axis=1) / case.X.shape[1]).shape


def draw(measurements: dict[str, Any]) -> Figure:
    figure, axes = new_figure(
        3,
        2,
        height=8.2,
        height_ratios=(1.15, 1.2, 0.9),
        title="Six equations give every derivative, for one example and for all at once",
    )
    grid = axes[0, 0].get_gridspec()
    for ax in axes[:2].ravel():
        ax.remove()
    draw_graph(figure.add_subplot(grid[0, :]), measurements["forward"], measurements["one"])
    draw_equations(
        figure.add_subplot(grid[1, :]),
        measurements["one"],
        measurements["all"],
        measurements["sizes"][0][2],
    )
    draw_errors(axes[2], measurements["errors"])
    return figure


def claims(measurements: dict[str, Any]) -> list[Claim]:
    errors = measurements["errors"]
    n_1 = measurements["sizes"][0][1]
    return [
        exact(
            "The six equations for m examples give jax.grad's dZ, dW and db of both layers "
            "(largest disagreement over the rounding bound, random shapes).",
            errors["vectorised"].max(),
            at_most(1),
        ),
        exact(
            "The reference's backward pass gives jax.grad's dZ, dW and db (largest disagreement "
            "over the rounding bound).",
            errors["reference"].max(),
            at_most(1),
        ),
        exact(
            "The six equations for one example give jax.grad of its own loss, for every example "
            "(largest disagreement over the rounding bound).",
            errors["one"].max(),
            at_most(1),
        ),
        exact(
            "The gradients of single examples average to the gradient of the cost (largest "
            "disagreement over the rounding bound).",
            errors["mean"].max(),
            at_most(1),
        ),
        exact(
            "Central differences of the cost confirm jax.grad (largest relative distance).",
            errors["differences"].max(),
            at_most(CORRECT),
        ),
        exact(
            "Equation 3.35 as printed in figure 25 gives the gradient to better than what the "
            "notes call wrong (least relative distance to the differences).",
            errors["printed"].min(),
            at_most(WRONG),
            expected="refuted",
            note="It multiplies by g′ and by z[1], where the factor is g′ at z[1]; figures 27 and "
            "29 have it right.",
        ),
        exact(
            "The misprint spoils both dW[1] and db[1] (least relative distance of either).",
            errors["printed_layer1"].min(),
            above(WRONG),
        ),
        exact(
            "It leaves dW[2] and db[2] right (largest relative distance).",
            errors["printed_layer2"].max(),
            at_most(CORRECT),
        ),
        exact(
            "Without keepdims, db[1] is no column, and subtracting it makes b[1] a square matrix.",
            measurements["without_keepdims"] == (n_1, n_1),
            TRUE,
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
