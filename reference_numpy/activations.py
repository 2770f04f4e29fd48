"""Activation functions and their derivatives (notes: Activation Function, figs. 23 and 24).

Every function also takes complex arrays; a branch looks at the real part only, so that the
complex step of `gradient_check` differentiates through it.
"""

import numpy as np
from numpy.typing import ArrayLike

from reference_numpy._arrays import Array, array


def sigmoid(Z: ArrayLike) -> Array:
    """Logistic function, elementwise.

    σ(z) = 1 / (1 + e^(−z)) = e^z / (1 + e^z)

    The first form is used for z ≥ 0 and the second for z < 0, so that no exponential overflows.

    Z: array of any shape. Returns an array of the same shape, in [0, 1].
    Source: notes, Logistic Regression (fig. 4) and Activation Function (fig. 23).

    >>> sigmoid([-1e4, 0.0, 1e4])
    array([0. , 0.5, 1. ])
    """
    Z = array(Z)
    E = np.exp(np.where(np.real(Z) >= 0, -Z, Z))
    return np.where(np.real(Z) >= 0, 1 / (1 + E), E / (1 + E))


def sigmoid_derivative(Z: ArrayLike) -> Array:
    """Derivative of the logistic function, elementwise.

    σ′(z) = σ(z) (1 − σ(z)) = σ(z) σ(−z)

    The last form keeps its digits where σ(z) is close to 1.

    Z: array of any shape. Returns an array of the same shape.
    Source: notes, Derivatives of activation functions (fig. 24).

    >>> sigmoid_derivative([0.0])
    array([0.25])
    """
    Z = array(Z)
    return sigmoid(Z) * sigmoid(-Z)


def tanh(Z: ArrayLike) -> Array:
    """Hyperbolic tangent, elementwise.

    tanh(z) = (e^z − e^(−z)) / (e^z + e^(−z))

    Z: array of any shape. Returns an array of the same shape, in [−1, 1].
    Source: notes, Activation Function (fig. 23).

    >>> tanh([-1e4, 0.0, 1e4])
    array([-1.,  0.,  1.])
    """
    return np.tanh(array(Z))


def tanh_derivative(Z: ArrayLike) -> Array:
    """Derivative of the hyperbolic tangent, elementwise.

    tanh′(z) = 1 − tanh²(z) = 4 σ(2z) σ(−2z)

    The last form keeps its digits where tanh²(z) is close to 1.

    Z: array of any shape. Returns an array of the same shape.
    Source: notes, Derivatives of activation functions (fig. 24).

    >>> tanh_derivative([0.0])
    array([1.])
    """
    Z = array(Z)
    return 4 * sigmoid(2 * Z) * sigmoid(-2 * Z)


def relu(Z: ArrayLike) -> Array:
    """Rectified linear unit, elementwise.

    relu(z) = max(0, z)

    Z: array of any shape. Returns an array of the same shape.
    Source: notes, Activation Function (fig. 23).

    >>> relu([-2.0, 0.0, 3.0])
    array([0., 0., 3.])
    """
    Z = array(Z)
    return np.where(np.real(Z) <= 0, 0, Z)


def relu_derivative(Z: ArrayLike) -> Array:
    """Derivative of the rectified linear unit, elementwise.

    relu′(z) = 1 for z > 0, else 0

    At z = 0, where there is no derivative, the value is 0, as in JAX, PyTorch and scikit-learn;
    fig. 24 of the notes prints 1, and their text allows either.

    Z: array of any shape. Returns an array of the same shape.
    Source: notes, Derivatives of activation functions (fig. 24).

    >>> relu_derivative([-2.0, 0.0, 3.0])
    array([0., 0., 1.])
    """
    Z = array(Z)
    return np.where(np.real(Z) > 0, 1.0, 0.0)


def leaky_relu(Z: ArrayLike, slope: float = 0.01) -> Array:
    """Leaky rectified linear unit, elementwise.

    leaky_relu(z) = max(slope · z, z)

    Z: array of any shape. slope: the slope for z < 0, in [0, 1].
    Returns an array of the same shape.
    Source: notes, Activation Function (fig. 23).

    >>> leaky_relu([-2.0, 0.0, 3.0])
    array([-0.02,  0.  ,  3.  ])
    """
    Z = array(Z)
    return np.where(np.real(Z) < 0, slope * Z, Z)


def leaky_relu_derivative(Z: ArrayLike, slope: float = 0.01) -> Array:
    """Derivative of the leaky rectified linear unit, elementwise.

    leaky_relu′(z) = slope for z < 0, else 1

    At z = 0 the value is 1, as printed in the notes and as in JAX; PyTorch takes the slope.

    Z: array of any shape. slope: the slope for z < 0, in [0, 1].
    Returns an array of the same shape.
    Source: notes, Derivatives of activation functions (fig. 24).

    >>> leaky_relu_derivative([-2.0, 0.0, 3.0])
    array([0.01, 1.  , 1.  ])
    """
    Z = array(Z)
    return np.where(np.real(Z) < 0, slope, 1.0)


def linear(Z: ArrayLike) -> Array:
    """Identity, the activation of a regression's output.

    g(z) = z

    Z: array of any shape. Returns a copy.
    Source: notes, Activation Function.

    >>> linear([-2.0, 3.0])
    array([-2.,  3.])
    """
    return array(Z).copy()


def linear_derivative(Z: ArrayLike) -> Array:
    """Derivative of the identity.

    g′(z) = 1

    Z: array of any shape. Returns an array of ones of the same shape.
    Source: notes, Activation Function.

    >>> linear_derivative([-2.0, 3.0])
    array([1., 1.])
    """
    return np.ones(np.shape(Z))


def softmax(Z: ArrayLike) -> Array:
    """Softmax over the rows: one column per example, one row per class.

    aₖ = e^(zₖ) / Σⱼ e^(zⱼ) = e^(zₖ − max z) / Σⱼ e^(zⱼ − max z)

    Z: array (K, m). Returns an array (K, m) whose columns are positive and sum to 1.
    Source: the usual output for K classes; for K = 2 it is σ(z₁ − z₂), notes fig. 4.

    >>> softmax([[0.0, 1e4], [0.0, -1e4]])
    array([[0.5, 1. ],
           [0.5, 0. ]])
    """
    Z = array(Z)
    E = np.exp(Z - np.max(np.real(Z), axis=0, keepdims=True))
    return E / np.sum(E, axis=0, keepdims=True)


def softmax_derivative(Z: ArrayLike) -> Array:
    """Jacobian of the softmax for every example.

    ∂aᵢ/∂zⱼ = aᵢ (δᵢⱼ − aⱼ)

    Z: array (K, m). Returns an array (K, K, m): first axis i, second j, third the example.
    Source: the derivative of `softmax`.

    >>> softmax_derivative([[0.0], [0.0]])[:, :, 0]
    array([[ 0.25, -0.25],
           [-0.25,  0.25]])
    """
    A = softmax(Z)
    delta = np.eye(A.shape[0])[:, :, None]
    return A[:, None, :] * (delta - A[None, :, :])


# name -> (g, g′): what the hidden layers of `mlp` can use.
ACTIVATIONS = {
    "sigmoid": (sigmoid, sigmoid_derivative),
    "tanh": (tanh, tanh_derivative),
    "relu": (relu, relu_derivative),
    "leaky_relu": (leaky_relu, leaky_relu_derivative),
    "linear": (linear, linear_derivative),
}
