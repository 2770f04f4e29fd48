"""Workload population: digits 64-64-10, batch 64, Adam, 50 epochs, N models at once.

Every model has its own seed and learning rate. N = 1, 32, 256, 1,024 and 4,096. A system that takes
minutes is measured up to some N and extrapolated linearly beyond, which its rows say. The limit is
the float operations alone: as many products of 64 × 64 matrices, in float32, on all cores.
Rows have one key more than those of other workloads: "members".
"""

import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec as P

import jaxnet
from jaxnet.populations import devices, sweep, use_all_cores
from scripts.benchmark import ensembles
from scripts.benchmark.ensembles import BATCH, EPOCHS, WIDTHS
from scripts.benchmark.timing import Missing, row

SIZES = (1, 32, 256, 1024, 4096)
FEWER_ROUNDS = {256: 3, 1024: 2, 4096: 1}
MANY = 10_000


class Way(NamedTuple):
    """One way to train a population.

    run: learning rates (N,) ↦ what `accuracy` judges. most: the largest N that it is run at.
    rounds: how often at most for an N above 32.
    """

    name: str
    run: Callable[[np.ndarray], Any]
    accuracy: Callable[[Any], float | None]
    detail: str
    most: int = SIZES[-1]
    rounds: int = SIZES[-1]


def rates_of(members: int) -> np.ndarray:
    """Learning rates of N members, a factor of ten apart at most; all of them learn."""
    return np.geomspace(5e-4, 5e-3, members + 2)[1:-1].astype(np.float32)


def build(hyper: Any) -> jaxnet.Setup:
    """The member of a sweep."""
    return jaxnet.Setup(jaxnet.mlp(WIDTHS), jaxnet.optimizers.adam(hyper["learning_rate"]))


def _sweep(data: Any, rates: np.ndarray, epochs: int) -> Any:
    hypers = {"learning_rate": rates, "seed": np.arange(len(rates))}
    return sweep(build, hypers, data, key=jax.random.key(0), batch_size=BATCH, epochs=epochs)


def _jaxnet(train: Any, test: Any, epochs: int) -> Way:
    model = jaxnet.mlp(WIDTHS)

    @jax.jit
    def accuracies(params, state):
        def one(given):
            logits, _ = model.apply(*given, test.x)
            return (logits.argmax(1) == test.y).mean()

        return jax.lax.map(one, (params, state))

    return Way(
        "jaxnet sweep",
        lambda rates: _sweep(train, rates, epochs),
        lambda found: float(accuracies(found.params, found.state).mean()),
        f"{jax.local_device_count()} devices; checks, histories, copies to the host included",
    )


def _limit(m: int, epochs: int) -> Way:
    """The float operations of the products of a run, as products of 64 × 64 matrices."""
    n_in, n_hidden, n_out = WIDTHS
    # An example's products: forward and dW of both layers, dA of the second; two operations each.
    per_example = 2 * (2 * n_in * n_hidden + 3 * n_hidden * n_out)
    products = epochs * m * per_example / (2 * 64**3)
    mesh = devices.local_mesh()
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(64, 64)))[0].astype(np.float32)

    @jax.jit
    @partial(jax.shard_map, mesh=mesh, in_specs=(P(), P()), out_specs=P("members"), check_vma=False)
    def multiply(eights, turn):
        def eight(_, a):
            for _ in range(8):
                a = a @ turn
            return a

        return jax.lax.fori_loop(0, eights, eight, turn)

    def run(rates):
        eights = round(len(rates) * products / mesh.size / 8)
        return jax.block_until_ready(multiply(jnp.int32(eights), turn))

    flops = epochs * m * per_example
    return Way(
        "float operations alone",
        run,
        lambda _: None,
        f"the limit: {flops / 1e9:.2f} GFLOP a model as 64 × 64 × 64 products on all cores",
        most=32,
    )


def _best_threads(run: Callable[[np.ndarray, int], Any], members: int) -> int:
    """The number of torch's threads with which a short run is fastest."""
    import torch  # pyright: ignore[reportMissingImports]

    def seconds(threads):
        torch.set_num_threads(threads)
        run(rates_of(members), 1)
        start = time.perf_counter()
        run(rates_of(members), 5)
        return time.perf_counter() - start

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(sorted({1, cores or 1}), key=seconds)


def _torch(train: Any, judge: Callable[[Any], float], epochs: int) -> list[Way | Missing]:
    written = [
        ("torch one after another", ensembles.torch_one_after_another, "fused Adam", 32, 1),
        ("torch bmm ensemble", ensembles.torch_bmm, "baddbmm, fused Adam", 256, 1),
        ("torch.func vmap", ensembles.torch_func, "functional_call, grad, fused Adam", 256, 1),
    ]
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError:
        why = "not installed: pip install 'jaxnet-suite[compare]'"
        return [Missing(name, why) for name, *_ in written]
    x, y = torch.tensor(np.asarray(train.x)), torch.tensor(np.asarray(train.y)).long()

    def way(name, function, what, most, rounds):
        threads = _best_threads(partial(function, x, y), 2 if most == 32 else 32)

        def run(rates):
            torch.set_num_threads(threads)
            return function(x, y, rates, epochs)

        return Way(name, run, judge, f"{what}, {threads} thread(s), its best", most, rounds)

    return [way(*one) for one in written]


def _sklearn(train: Any, judge: Callable[[Any], float], epochs: int) -> Way | Missing:
    try:
        import sklearn  # noqa: F401
    except ImportError:
        return Missing("scikit-learn in joblib", "not installed: pip install scikit-learn")
    x, y = np.asarray(train.x, np.float32), np.asarray(train.y)
    return Way(
        "scikit-learn in joblib",
        lambda rates: ensembles.sklearn_in_joblib(x, y, rates, epochs),
        judge,
        "MLPClassifier, a process for every core",
        most=32,
    )


def ways(epochs: int) -> list[Way | Missing]:
    """Ways to train a population, jaxnet first, the limit last."""
    split = jaxnet.data.datasets.load("digits")
    train, test = split.train, split.test
    x, y = np.asarray(test.x, np.float32), np.asarray(test.y)
    judge = partial(ensembles.mean_accuracy, x=x, y=y)
    return [
        _jaxnet(train, test, epochs),
        *_torch(train, judge, epochs),
        _sklearn(train, judge, epochs),
        _limit(train.x.shape[0], epochs),
    ]


def _measure(
    found: list[Way], members: int, rounds: int
) -> tuple[dict[str, list[float]], dict[str, float | None]]:
    """Seconds and accuracies of those that are run at N, in turn."""
    rates = rates_of(members)
    seconds = {way.name: [] for way in found if members <= way.most}
    accuracy: dict[str, float | None] = {}
    for number in range(rounds):
        print(f"population, N = {members}: round {number + 1} of {rounds}", file=sys.stderr)
        first = number % len(found)
        for way in found[first:] + found[:first]:
            if members > way.most or (members > 32 and number >= way.rounds):
                continue
            start = time.perf_counter()
            trained = way.run(rates)
            seconds[way.name].append(time.perf_counter() - start)
            if way.name not in accuracy:
                accuracy[way.name] = way.accuracy(trained)
    return seconds, accuracy


def _memory(members: int, epochs: int) -> tuple[int, int]:
    """Bytes by which the peak of a process grows, and of the results, for N members."""
    use_all_cores()
    train = jaxnet.data.datasets.load("digits").train
    _sweep(train, rates_of(64), epochs)

    def peak():
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

    before = peak()
    runs = _sweep(train, rates_of(members), epochs).parts[0].runs
    return peak() - before, sum(leaf.nbytes for leaf in jax.tree.leaves(runs))


def _memory_row(members: int) -> dict[str, Any]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        growth, results = pool.submit(_memory, members, 1).result()
    detail = (
        f"peak memory, one epoch: {growth / 1e6:,.0f} MB more than with 64 members, of which "
        f"{results / 1e6:,.0f} MB are the results on the host, {results / members / 1e3:.1f} kB a "
        f"member; the devices hold one chunk"
    )
    return {**row("population", "jaxnet sweep, memory", [], 1, None, detail), "members": members}


def rows(rounds: int, sizes: tuple[int, ...] = SIZES, epochs: int = EPOCHS) -> list[dict[str, Any]]:
    """The workload measured: a row for each system and each N, then one on memory."""
    use_all_cores()
    every = ways(epochs)
    present = [way for way in every if isinstance(way, Way)]
    for way in present:  # to compile, start processes, fill caches
        way.run(rates_of(2))
    table: list[dict[str, Any]] = []
    last: dict[str, tuple[int, list[float], float | None]] = {}
    for members in sizes:
        count = min(-(-rounds // 2), FEWER_ROUNDS.get(members, rounds))
        seconds, accuracy = _measure(present, members, count)
        last |= {name: (members, times, accuracy[name]) for name, times in seconds.items()}
        ours = statistics.median(seconds[present[0].name])
        for way in every:
            times, reached, detail = [], None, way.detail
            if way.name in last:
                at, times, reached = last[way.name]
                times = [one * members / at for one in times]
                if at != members:
                    detail += f"; measured at {at} models, extrapolated linearly"
            one = row("population", way.name, times, ours, reached, detail)
            table.append({**one, "members": members})
        alone, mine = table[-1]["median"], table[-len(every)]
        mine["detail"] += f"; reaches {100 * alone / ours:.0f} % of the float operations alone"
    return [*table, _memory_row(MANY)]
