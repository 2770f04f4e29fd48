"""Rows for the learning-rate schedules and the exponentially weighted average."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet import averages, schedules
from jaxnet.crosscheck import bounds, layout, oracle
from jaxnet.crosscheck.bounds import Bounded
from jaxnet.crosscheck.cases.case import Args, Case, Results, Transform, sizes
from reference_numpy import averages as reference_averages
from reference_numpy import schedules as reference

NUMBERS = {
    "inverse_time": ("decay_rate",),
    "exponential": ("base",),
    "inverse_sqrt": ("k",),
    "staircase": ("factor", "epochs_per_stair"),
}


def _epochs(args: Args) -> np.ndarray:
    """Epochs are counted from 0 with jaxnet's steps."""
    return args["steps"] // args["steps_per_epoch"]


def _schedule_row(name: str) -> Case:
    def draw(rng: np.random.Generator) -> Args:
        drawn = {
            "decay_rate": float(rng.uniform(0.1, 2)),
            "base": float(rng.uniform(0.8, 0.99)),
            "k": float(rng.uniform(0.5, 3)),
            "factor": float(rng.uniform(0.3, 0.9)),
            "epochs_per_stair": int(rng.integers(2, 5)),
        }
        return {
            "learning_rate": float(rng.uniform(0.01, 1)),
            "steps_per_epoch": int(rng.integers(2, 8)),
            "steps": np.arange(60),
            **{number: drawn[number] for number in NUMBERS[name]},
        }

    def numbers(args: Args) -> dict[str, float]:
        return {number: args[number] for number in NUMBERS[name]}

    # The reference has the notes' own formula, which counts from 1 where it divides by √epoch.
    first = 1 if name == "inverse_sqrt" else 0

    def run_reference(args: Args) -> Results:
        epochs = _epochs(args) + first
        return {"alpha": getattr(reference, name)(epochs, args["learning_rate"], **numbers(args))}

    def run_jaxnet(args: Args, transform: Transform = jax.jit) -> Results:
        schedule = getattr(schedules, name)(
            args["learning_rate"], steps_per_epoch=args["steps_per_epoch"], **numbers(args)
        )
        return {"alpha": np.asarray(transform(jax.vmap(schedule))(jnp.asarray(args["steps"])))}

    def errors(args: Args) -> Results:
        epochs, alpha = _epochs(args) + first, args["learning_rate"]
        if name == "inverse_time":
            return {"alpha": alpha / (1 + args["decay_rate"] * bounds.bounded(epochs))}
        if name == "inverse_sqrt":
            return {"alpha": args["k"] / bounds.root(bounds.bounded(epochs)) * alpha}
        if name == "exponential":
            return {"alpha": bounds.power(args["base"], epochs) * alpha}
        # ⌊epoch/epochs_per_stair⌋ of whole numbers this small is exact.
        stairs = epochs // args["epochs_per_stair"]
        return {"alpha": bounds.power(args["factor"], stairs) * alpha}

    return Case(
        name=f"schedules/{name}",
        quantity=f"learning rates of 60 steps under {name} decay",
        draw=draw,
        reference=run_reference,
        jaxnet=run_jaxnet,
        errors=errors,
        oracle=lambda args: {
            "alpha": oracle.schedule(
                name, _epochs(args), args["learning_rate"], *numbers(args).values()
            )
        },
    )


def _average_row(corrected: bool) -> Case:
    def draw(rng: np.random.Generator) -> Args:
        steps, n = 20, sizes(rng, 1)[0]
        return {
            "theta": rng.normal(loc=3, size=(steps, n)),
            "beta": float(rng.uniform(0.5, 0.98)),
        }

    def run_jaxnet(args: Args, transform: Transform = jax.jit) -> Results:
        average = partial(averages.exponentially_weighted, beta=args["beta"], corrected=corrected)
        return {"V": np.asarray(transform(average)(layout.to_jax(args["theta"])))}

    def errors(args: Args) -> Results:
        beta = args["beta"]
        V, path = bounds.bounded(np.zeros(args["theta"].shape[1])), []
        for t, theta in enumerate(args["theta"], start=1):
            V = beta * V + (1 - bounds.bounded(beta)) * bounds.bounded(theta)
            # 1 − β^t may be summed up along with V, 3 roundings a step, or computed as it stands,
            # where it cancels.
            weight = 1 - bounds.power(beta, t)
            weight = Bounded(weight.value, weight.error + 3 * t * weight.value)
            path.append((V / weight if corrected else V).error)
        return {"V": np.stack(path)}

    return Case(
        name=f"averages/exponentially_weighted{'_corrected' * corrected}",
        quantity="exponentially weighted average of 20 observations"
        + ", corrected for its start" * corrected,
        draw=draw,
        reference=lambda args: {
            "V": reference_averages.exponentially_weighted(
                args["theta"], args["beta"], corrected=corrected
            )
        },
        jaxnet=run_jaxnet,
        errors=errors,
        oracle=lambda args: {
            "V": oracle.exponentially_weighted(args["theta"], args["beta"], corrected)
        },
    )


CASES = (*(_schedule_row(name) for name in NUMBERS), _average_row(False), _average_row(True))
