"""jaxnet beside its peers, measured in turn in one run: `python -m scripts.benchmark`.

small: digits 64-64-10, ReLU, batch 64, Adam at 1e-3, 50 epochs. The limit is a bare jitted scan of
the same update, written here from jax and optax alone.
gradcheck: all 940 coordinates of a 20-30-10 tanh network on 32 examples, in float64.

Every system is run once to warm up (compile), then all of them in turn, round after round; what
counts is the median and its ratio to jaxnet's. A peer that is not installed is a row that says so.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxnet

EPOCHS, BATCH, ALPHA = 50, 64, 1e-3


class System(NamedTuple):
    """One way to do a workload: run() does it and returns what `accuracy` judges."""

    name: str
    run: Callable[[], Any]
    accuracy: Callable[[Any], float | None]
    detail: str


class Missing(NamedTuple):
    """A system that cannot run here, and what to install."""

    name: str
    detail: str


def _digits():
    split = jaxnet.data.datasets.load("digits")
    return split.train, split.test


def _jaxnet_small(train, test) -> System:
    model = jaxnet.mlp((64, 64, 10))

    def run():
        return jax.block_until_ready(
            jaxnet.fit(
                model,
                train,
                optimizer=jaxnet.optimizers.adam(ALPHA),
                batch_size=BATCH,
                epochs=EPOCHS,
                key=jax.random.key(0),
            )
        )

    def accuracy(run):
        return 1 - float(jaxnet.evaluate(model, run.params, run.state, test).error)

    return System("jaxnet fit", run, accuracy, "checks, shuffling, history included")


def _bare_scan(train, test) -> System:
    """The same updates with nothing around them: no model type, no checks, no history."""
    optimizer = optax.adam(ALPHA)
    m = train.x.shape[0]
    steps, rest = divmod(m, BATCH)

    def logits(params, x):
        (w1, b1), (w2, b2) = params
        return jax.nn.relu(x @ w1 + b1) @ w2 + b2

    def cost(params, x, y):
        return optax.softmax_cross_entropy_with_integer_labels(logits(params, x), y).mean()

    def update(carry, indices):
        params, opt_state = carry
        grads = jax.grad(cost)(params, train.x[indices], train.y[indices])
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), None

    @jax.jit
    def scan(key):
        k1, k2, key = jax.random.split(key, 3)
        params = (
            (jnp.sqrt(2 / 64) * jax.random.normal(k1, (64, 64)), jnp.zeros(64)),
            (jnp.sqrt(2 / 64) * jax.random.normal(k2, (64, 10)), jnp.zeros(10)),
        )

        def epoch(carry, key):
            order = jaxnet.data.minibatches.permutation(key, m)
            carry, _ = jax.lax.scan(update, carry, order[: steps * BATCH].reshape(steps, BATCH))
            if rest:
                carry, _ = update(carry, order[steps * BATCH :])
            return carry, None

        keys = jax.random.split(key, EPOCHS)
        return jax.lax.scan(epoch, (params, optimizer.init(params)), keys)[0][0]

    def accuracy(params):
        return float((logits(params, test.x).argmax(1) == test.y).mean())

    return System(
        "bare jitted scan",
        lambda: jax.block_until_ready(scan(jax.random.key(0))),
        accuracy,
        "the limit: jax and optax alone, the same shuffle",
    )


def _sklearn_small(train, test) -> System | Missing:
    try:
        from sklearn.neural_network import MLPClassifier
    except ImportError:
        return Missing("scikit-learn", "not installed: pip install scikit-learn")
    x, y = np.asarray(train.x, np.float32), np.asarray(train.y)

    def run():
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that 50 epochs were not enough to converge
            return MLPClassifier(
                (64,),
                alpha=0,
                batch_size=BATCH,  # pyright: ignore[reportArgumentType]
                learning_rate_init=ALPHA,
                max_iter=EPOCHS,
                tol=0,
                n_iter_no_change=EPOCHS,
                random_state=0,
            ).fit(x, y)

    return System(
        "scikit-learn",
        run,
        lambda fitted: float(fitted.score(np.asarray(test.x), np.asarray(test.y))),
        f"MLPClassifier {version('scikit-learn')}",
    )


def _torch_small(train, test, fused: bool) -> System | Missing:
    name = "torch, fused Adam" if fused else "torch"
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError:
        return Missing(name, "not installed: pip install 'jaxnet-suite[compare]'")
    x, y = torch.tensor(np.asarray(train.x)), torch.tensor(np.asarray(train.y)).long()

    def run():
        torch.manual_seed(0)
        model = torch.nn.Sequential(
            torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)
        )
        optimizer = torch.optim.Adam(model.parameters(), lr=ALPHA, fused=fused)
        for _ in range(EPOCHS):
            for indices in torch.randperm(len(x)).split(BATCH):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(model(x[indices]), y[indices]).backward()
                optimizer.step()
        return model

    def accuracy(model):
        with torch.no_grad():
            labels = model(torch.tensor(np.asarray(test.x))).argmax(1).numpy()
        return float((labels == np.asarray(test.y)).mean())

    return System(
        name, run, accuracy, f"torch {torch.__version__}, {torch.get_num_threads()} threads"
    )


def small() -> list[System | Missing]:
    """Training one small classifier."""
    train, test = _digits()
    return [
        _jaxnet_small(train, test),
        _bare_scan(train, test),
        _torch_small(train, test, fused=False),
        _torch_small(train, test, fused=True),
        _sklearn_small(train, test),
    ]


def gradcheck() -> list[System | Missing]:
    """Checking every coordinate of a gradient; `accuracy` is the relative distance found."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 20)), rng.integers(0, 10, 32)
    with jax.enable_x64(True):
        model = jaxnet.mlp((20, 30, 10), activation="tanh", initializer="xavier")
        params, state = model.init(jax.random.key(0))
        xs, ys = jnp.asarray(x), jnp.asarray(y)

    @jax.jit
    def cost(params):
        logits = model.apply(params, state, xs)[0]
        return jaxnet.losses.cost(jaxnet.losses.softmax_cross_entropy(logits, ys))

    def ours():
        with jax.enable_x64(True):
            return jaxnet.gradient_check(cost, params)

    systems: list[System | Missing] = [
        System(
            "jaxnet gradient_check",
            ours,
            lambda check: check.relative_distance,
            "two-sided, 64 coordinates at a time",
        )
    ]
    arrays = [np.array(leaf) for leaf in jax.tree.leaves(params)]

    def numpy_cost(w1, b1, w2, b2):
        logits = np.tanh(x @ w1 + b1) @ w2 + b2
        top = logits.max(axis=1, keepdims=True)
        log_sum = top[:, 0] + np.log(np.exp(logits - top).sum(axis=1))
        return (log_sum - logits[np.arange(32), y]).mean()

    def loop():
        eps, quotients = 6e-6, []
        for array in arrays:
            for index in np.ndindex(array.shape):
                kept = array[index]
                array[index] = kept + eps
                up = numpy_cost(*arrays)
                array[index] = kept - eps
                quotients.append((up - numpy_cost(*arrays)) / (2 * eps))
                array[index] = kept
        return np.array(quotients)

    systems.append(System("NumPy loop", loop, lambda _: None, "differences alone"))
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError:
        missing = "not installed: pip install 'jaxnet-suite[compare]'"
        systems.append(Missing("torch.autograd.gradcheck", missing))
        return systems
    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    xt, yt = torch.tensor(x), torch.tensor(y)

    def torch_cost(w1, b1, w2, b2):
        return torch.nn.functional.cross_entropy(torch.tanh(xt @ w1 + b1) @ w2 + b2, yt)

    def full():
        return torch.autograd.gradcheck(torch_cost, tensors)

    systems.append(System("torch.autograd.gradcheck", full, lambda _: None, "full mode"))
    return systems


WORKLOADS = {"small": small, "gradcheck": gradcheck}


def measure(workload: str, rounds: int) -> list[dict[str, Any]]:
    """Rows of one workload: every system warmed up, then all of them in turn, `rounds` times."""
    systems = WORKLOADS[workload]()
    present = [system for system in systems if isinstance(system, System)]
    accuracy = {system.name: system.accuracy(system.run()) for system in present}
    seconds: dict[str, list[float]] = {system.name: [] for system in present}
    for number in range(rounds):
        print(f"{workload}: round {number + 1} of {rounds}", file=sys.stderr)
        # Whoever runs after a heavy peer finds cold caches: the first place goes round.
        first = number % len(present)
        for system in present[first:] + present[:first]:
            start = time.perf_counter()
            system.run()
            seconds[system.name].append(time.perf_counter() - start)
    ours = statistics.median(seconds[present[0].name])
    rows = []
    for system in systems:
        times = seconds.get(system.name, [])
        median = statistics.median(times) if times else None
        rows.append(
            {
                "workload": workload,
                "system": system.name,
                "seconds": times,
                "median": median,
                "ratio": median / ours if median else None,
                "accuracy": accuracy.get(system.name),
                "detail": system.detail,
            }
        )
    return rows


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _print_table(rows: list[dict[str, Any]]) -> None:
    print(f"{'workload':<10} {'system':<26} {'median':>10} {'ratio':>7} {'accuracy':>9}  detail")
    for row in rows:
        median = "-" if row["median"] is None else f"{1e3 * row['median']:.1f} ms"
        ratio = "-" if row["ratio"] is None else f"{row['ratio']:.2f}"
        accuracy = "-" if row["accuracy"] is None else f"{row['accuracy']:.3g}"
        print(
            f"{row['workload']:<10} {row['system']:<26} {median:>10} {ratio:>7} {accuracy:>9}  "
            f"{row['detail']}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="jaxnet beside its peers, in turn.")
    parser.add_argument("--only", default=",".join(WORKLOADS), help="workloads, comma-separated")
    parser.add_argument("--rounds", type=int, default=9, help="measurements of each (default 9)")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    arguments = parser.parse_args()
    chosen = arguments.only.split(",")
    unknown = [name for name in chosen if name not in WORKLOADS]
    if unknown:
        parser.error(f"--only: expected {', '.join(WORKLOADS)}, got {', '.join(unknown)}")
    if arguments.rounds < 1:
        parser.error(f"--rounds: expected a whole number ≥ 1, got {arguments.rounds}")
    rows = [row for workload in chosen for row in measure(workload, arguments.rounds)]
    packages = ("jax", "jaxlib", "optax", "numpy", "torch", "scikit-learn")
    device = jax.devices()[0].device_kind
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, device {device}")
    print(", ".join(f"{name} {_version(name) or 'not installed'}" for name in packages))
    _print_table(rows)
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
