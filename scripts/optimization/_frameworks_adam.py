"""torch's and Keras' Adam along a path of given gradients' makers, in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxnet.crosscheck.backends import frameworks
from jaxnet.crosscheck.backends.keras_floatx import floatx

Slope = Callable[[np.ndarray], np.ndarray]


def torch_path(slope: Slope, w0: np.ndarray, *, steps: int, alpha: float, eps: float) -> np.ndarray:
    """The points w₀ … of torch's Adam, its gradient at w given by slope(w)."""
    torch = frameworks.torch()
    w = torch.tensor(w0, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([w], lr=alpha, eps=eps)
    path = [w0]
    for _ in range(steps):
        w.grad = torch.from_numpy(slope(w.detach().numpy()))
        adam.step()
        path.append(w.detach().numpy().copy())
    return np.array(path)


def keras_path(slope: Slope, w0: np.ndarray, *, steps: int, alpha: float, eps: float) -> np.ndarray:
    """The points w₀ … of Keras' Adam; to be called under jax.enable_x64(True)."""
    import jax

    with floatx("float64") as keras:
        w = keras.Variable(w0, dtype="float64")
        adam = keras.optimizers.Adam(alpha, epsilon=eps)
        adam.build([w])

        def one(carry: Any, _: Any) -> Any:
            params, state = adam.stateless_apply(carry[1], [slope(carry[0][0])], carry[0])
            return (params, state), params[0]

        carry = [w.value], [v.value for v in adam.variables]
        path = jax.jit(lambda carry: jax.lax.scan(one, carry, length=steps)[1])(carry)
    return np.concatenate([w0[None], np.asarray(path)])
