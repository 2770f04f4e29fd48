"""Small pure functions for deep learning on JAX, each proved against a NumPy reference.

Everything is a function of its arguments: nothing here reads global random state, and importing
sets no configuration. `fit` trains one model; `make_train` is the same run as a pure function.
"""

from jaxnet import (
    activations,
    averages,
    data,
    diagnostics,
    gradcheck,
    initializers,
    layers,
    losses,
    models,
    optimizers,
    populations,
    regularizers,
    schedules,
    training,
)
from jaxnet.data import Dataset, Split
from jaxnet.gradcheck import GradientCheck, gradient_check
from jaxnet.models import Model, logistic_regression, mlp
from jaxnet.training import (
    Carry,
    Evaluation,
    Path,
    Run,
    Setup,
    descend,
    evaluate,
    fit,
    make_train,
    predict,
    step,
)

__version__ = "0.1.0.dev0"

__all__ = [
    "Carry",
    "Dataset",
    "Evaluation",
    "GradientCheck",
    "Model",
    "Path",
    "Run",
    "Setup",
    "Split",
    "activations",
    "averages",
    "data",
    "descend",
    "diagnostics",
    "evaluate",
    "fit",
    "gradcheck",
    "gradient_check",
    "initializers",
    "layers",
    "logistic_regression",
    "losses",
    "make_train",
    "mlp",
    "models",
    "optimizers",
    "populations",
    "predict",
    "regularizers",
    "schedules",
    "step",
    "training",
]
