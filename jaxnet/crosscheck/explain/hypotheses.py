"""How one array can come out differently: what the left would be, made from the right.

Every hypothesis is a function of the two arrays and their surroundings; it yields guesses, each
with the array that the left would then be. Whoever asks tests them.
"""

from jaxnet.crosscheck.explain.arrangement import arrangement, broadcast, in_time, normalised, rows
from jaxnet.crosscheck.explain.entries import elementwise, function_of, scale, zeros
from jaxnet.crosscheck.explain.products import products
from jaxnet.crosscheck.explain.substitution import substitution
from jaxnet.crosscheck.explain.terms import terms

HYPOTHESES = (
    scale,
    arrangement,
    substitution,
    in_time,
    normalised,
    broadcast,
    rows,
    function_of,
    elementwise,
    zeros,
    terms,
    products,
)
