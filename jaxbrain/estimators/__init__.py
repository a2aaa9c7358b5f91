"""Estimators as pure functions of arrays: encoding stage, task stage, controls, a list of them."""

from .banded import banded_ridge, banded_ridge_path
from .encoding import (
    Encoder,
    encode,
    fit_encoder,
    oracle_subspace,
    random_subspace,
    shuffle_recordings,
)
from .logistic import Logistic, logistic
from .registry import VARIANTS, Variant, find_variant
from .task import befs, befs_path, ridge, task_only

__all__ = [
    "VARIANTS",
    "Encoder",
    "Logistic",
    "Variant",
    "banded_ridge",
    "banded_ridge_path",
    "befs",
    "befs_path",
    "encode",
    "find_variant",
    "fit_encoder",
    "logistic",
    "oracle_subspace",
    "random_subspace",
    "ridge",
    "shuffle_recordings",
    "task_only",
]
