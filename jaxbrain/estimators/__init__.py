"""Estimators as pure functions of arrays: the encoding stage, the task stage, and controls."""

from .encoding import encode as encode
from .encoding import oracle_subspace as oracle_subspace
from .encoding import random_subspace as random_subspace
from .encoding import shuffle_recordings as shuffle_recordings
from .task import befs as befs
from .task import befs_path as befs_path
from .task import ridge as ridge
from .task import task_only as task_only
