"""Another framework's optimizer as an optax chain, with a verdict that was proved on the spot."""

from jaxnet.crosscheck.translation.translate import Translation, translate_optimizer

__all__ = ["Translation", "translate_optimizer"]
