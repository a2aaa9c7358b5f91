"""Which estimators are compared: without recordings, with them, and on what replaces them."""

from __future__ import annotations

from ..estimators import VARIANTS
from ..estimators.registry import Variant

_BANDED = "banded_ridge"
# No recordings of a user's hold the true subspace of a model.
# What the inputs' own spectrum does, their leading components show.
COMPARED = (
    *(variant for variant in VARIANTS if variant.source != "model"),
    Variant(
        f"random_{_BANDED}",
        "Takes channels drawn at random for a second band of features.",
        "chance",
        2,
        _BANDED,
        learns="encoder",
    ),
    Variant(
        "leading_components",
        "Shrinks the weights outside of the leading principal components of the inputs.",
        "inputs",
        1,
        "befs",
    ),
    Variant(
        "leading_components_two_penalties",
        "Shrinks the weights outside and inside of the leading principal components.",
        "inputs",
        2,
        "befs_two_penalties",
    ),
    Variant(
        f"leading_components_{_BANDED}",
        "Takes principal components of the inputs, by their variance, for a second band.",
        "inputs",
        2,
        _BANDED,
        learns="encoder",
    ),
)
SOURCES = ("recordings", "shuffled recordings", "chance", "inputs")

ESTIMATORS = tuple(variant.name for variant in COMPARED)
"""The estimators compared: two without recordings, and each with recordings beside its controls."""

CONTROLS = {
    name: tuple(variant.name for variant in COMPARED if variant.control_of == name)
    for name in dict.fromkeys(variant.control_of for variant in COMPARED)
    if name is not None
}
"""Each estimator that takes recordings, with the same estimator on what knows nothing of them."""

AS_GIVEN = "ridge_as_given"
"""Ridge on the inputs as they came, where they were changed: a point of the curves."""

WITH_RECORDINGS = tuple(CONTROLS)
