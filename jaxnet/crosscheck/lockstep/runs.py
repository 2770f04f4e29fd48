"""Trainings made of what one has: the reference, a jaxnet Setup, functions and an optax optimizer,
a torch module, a keras model.

All take the same data, `Dataset(x (m, n), y)`, and the same batches: a sequence of index arrays,
one for each step, so that both sides see the same examples in the same order. All call their arrays
alike and show them in the reference's layout (`crosscheck.layout`):

    forward    Z1, A1, D1 (dropout's mask), Z2, …, J
    gradient   dW2, db2, dW1, db1, …, the last layer first; dgamma1, dbeta1 of batch norm
    update     W1, b1, …, gamma1, beta1
    state      vW1 the velocity of W1 (first moment, trace), sW1 its mean square (second moment),
               t the steps taken; mean1, var1 batch norm's running statistics
"""

from jaxnet.crosscheck.lockstep.of_keras import of_keras
from jaxnet.crosscheck.lockstep.of_reference import of_reference
from jaxnet.crosscheck.lockstep.of_setup import of_functions, of_setup
from jaxnet.crosscheck.lockstep.of_torch import of_torch

__all__ = ["of_functions", "of_keras", "of_reference", "of_setup", "of_torch"]
