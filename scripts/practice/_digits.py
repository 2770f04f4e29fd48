"""The digits of scikit-learn: how large they are, and how many."""

PIXELS, CLASSES = 64, 10
EXAMPLES = 1797
