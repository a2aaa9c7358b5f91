"""Estimators as pure functions of arrays: the encoding stage, the task stage, and controls."""

from .encoding import encode, oracle_subspace, random_subspace, shuffle_recordings
from .task import befs, befs_path, ridge, task_only

__all__ = [
    "befs",
    "befs_path",
    "encode",
    "oracle_subspace",
    "random_subspace",
    "ridge",
    "shuffle_recordings",
    "task_only",
]
