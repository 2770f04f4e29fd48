"""Training: the one update, the compiled run around it, fit, evaluation, and plain descent."""

from jaxnet.training.descend import Path, descend
from jaxnet.training.early_stopping import early_stopping
from jaxnet.training.evaluation import Evaluation, evaluate, predict
from jaxnet.training.fit import fit
from jaxnet.training.run import Carry, Run, Setup, make_train, start, step

__all__ = [
    "Carry",
    "Evaluation",
    "Path",
    "Run",
    "Setup",
    "descend",
    "early_stopping",
    "evaluate",
    "fit",
    "make_train",
    "predict",
    "start",
    "step",
]
