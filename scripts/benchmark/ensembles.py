"""The peers of a population, each as its own documentation would have it written.

Every one trains len(rates) networks 64-64-10 with a seed and a learning rate each, and returns what
`mean_accuracy` judges. They import what they need themselves: a peer may not be installed.
"""

from itertools import pairwise
from typing import Any

import numpy as np

EPOCHS, BATCH = 50, 64
WIDTHS = (64, 64, 10)


def one_with_sklearn(x: np.ndarray, y: np.ndarray, seed: int, rate: float, epochs: int) -> Any:
    """One fitted MLPClassifier, its float32 data, its Adam, its shuffling."""
    import warnings

    from sklearn.neural_network import MLPClassifier

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that 50 epochs were not enough to converge
        return MLPClassifier(
            (WIDTHS[1],),
            alpha=0,
            batch_size=BATCH,  # pyright: ignore[reportArgumentType]
            learning_rate_init=rate,
            max_iter=epochs,
            tol=0,
            n_iter_no_change=epochs,
            random_state=seed,
        ).fit(x, y)


def sklearn_in_joblib(x: np.ndarray, y: np.ndarray, rates: np.ndarray, epochs: int) -> list[Any]:
    """Every member a task of joblib, a process for every core."""
    from sklearn.utils.parallel import Parallel, delayed

    tasks = [
        delayed(one_with_sklearn)(x, y, seed, float(rate), epochs)
        for seed, rate in enumerate(rates)
    ]
    return list(Parallel(n_jobs=-1)(tasks))


def torch_one_after_another(
    x: Any, y: Any, rates: np.ndarray, epochs: int, *, fused: bool = True
) -> list[Any]:
    """The ordinary loop of torch, by default with its fused Adam, for one model after another."""
    import torch  # pyright: ignore[reportMissingImports]

    def train(seed, rate):
        torch.manual_seed(seed)
        model = torch.nn.Sequential(
            torch.nn.Linear(*WIDTHS[:2]), torch.nn.ReLU(), torch.nn.Linear(*WIDTHS[1:])
        )
        optimizer = torch.optim.Adam(model.parameters(), lr=rate, fused=fused)
        for _ in range(epochs):
            for indices in torch.randperm(len(x)).split(BATCH):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(model(x[indices]), y[indices]).backward()
                optimizer.step()
        return model

    return [train(seed, float(rate)) for seed, rate in enumerate(rates)]


def _adam_with_rates(params: list[Any], rates: np.ndarray) -> Any:
    """A step of Adam with a learning rate for each member, from gradients, by torch's fused Adam.

    Torch's has one rate for a whole tensor. At rate 1, started from zero, it leaves −m̂/(√v̂ + ε),
    which each member multiplies by its own rate: exact, and only two passes more.
    """
    import torch  # pyright: ignore[reportMissingImports]

    directions = [torch.zeros_like(param) for param in params]
    optimizer = torch.optim.Adam(directions, lr=1.0, fused=True)
    by_member = torch.tensor(rates, dtype=torch.float32)
    scales = [by_member.reshape(-1, *(1,) * (param.dim() - 1)) for param in params]

    def step(grads):
        for direction, grad in zip(directions, grads, strict=True):
            direction.zero_()
            direction.grad = grad
        optimizer.step()
        for param, scale, direction in zip(params, scales, directions, strict=True):
            param.addcmul_(scale, direction)

    return step


def torch_bmm(x: Any, y: Any, rates: np.ndarray, epochs: int) -> tuple[Any, ...]:
    """All members in one graph: parameters (N, n_in, n_out), baddbmm, each its own shuffle."""
    import torch  # pyright: ignore[reportMissingImports]

    torch.manual_seed(0)
    members = len(rates)
    params = []
    for n_in, n_out in pairwise(WIDTHS):
        params += [
            torch.randn(members, n_in, n_out) * (2 / n_in) ** 0.5,
            torch.zeros(members, 1, n_out),
        ]
    params = [param.requires_grad_() for param in params]
    w1, b1, w2, b2 = params
    with torch.no_grad():
        step = _adam_with_rates(params, rates)
    for _ in range(epochs):
        for indices in torch.rand(members, len(x)).argsort(1).split(BATCH, dim=1):
            hidden = torch.baddbmm(b1, x[indices], w1).relu()
            logits = torch.baddbmm(b2, hidden, w2)
            cost = torch.nn.functional.cross_entropy(
                logits.flatten(0, 1), y[indices].flatten(), reduction="sum"
            )
            grads = torch.autograd.grad(cost / indices.shape[1], params)
            with torch.no_grad():
                step(grads)
    return tuple(param.detach() for param in params)


def torch_func(x: Any, y: Any, rates: np.ndarray, epochs: int) -> tuple[Any, ...]:
    """torch.func: functional_call, grad and vmap over a stacked model, each its own shuffle."""
    import torch  # pyright: ignore[reportMissingImports]

    torch.manual_seed(0)
    models = [
        torch.nn.Sequential(
            torch.nn.Linear(*WIDTHS[:2]), torch.nn.ReLU(), torch.nn.Linear(*WIDTHS[1:])
        )
        for _ in rates
    ]
    stacked, _ = torch.func.stack_module_state(models)
    params = {name: leaf.detach() for name, leaf in stacked.items()}
    model = models[0]

    def cost(params, x, y):
        logits = torch.func.functional_call(model, params, (x,))
        return torch.nn.functional.cross_entropy(logits, y)

    gradients = torch.func.vmap(torch.func.grad(cost))
    with torch.no_grad():
        step = _adam_with_rates(list(params.values()), rates)
        for _ in range(epochs):
            for indices in torch.rand(len(rates), len(x)).argsort(1).split(BATCH, dim=1):
                grads = gradients(params, x[indices], y[indices])
                step([grads[name].contiguous() for name in params])
    w1, b1, w2, b2 = params.values()
    return w1.mT, b1[:, None], w2.mT, b2[:, None]


def mean_accuracy(trained: Any, x: np.ndarray, y: np.ndarray) -> float:
    """Mean test accuracy over the members of what a peer returned."""
    if isinstance(trained, list) and hasattr(trained[0], "score"):
        return float(np.mean([fitted.score(x, y) for fitted in trained]))
    import torch  # pyright: ignore[reportMissingImports]

    inputs, labels = torch.tensor(x), torch.tensor(y)
    with torch.no_grad():
        if isinstance(trained, list):
            answers = [model(inputs).argmax(-1) for model in trained]
        else:
            w1, b1, w2, b2 = trained
            answers = [
                ((inputs @ w1[i] + b1[i]).relu() @ w2[i] + b2[i]).argmax(-1) for i in range(len(w1))
            ]
    return float(np.mean([(answer == labels).float().mean().item() for answer in answers]))
