"""What is wrong with arguments of the estimators is named."""

import jax.random as jr
import numpy as np
import pytest

import jaxbrain as jb
from tests.helpers.regressions import INF, task_data

X, Y, B = task_data(0, 20, 8, 3)
R = np.random.default_rng(1).normal(size=(20, 5))
ONES = np.ones(8)

WRONG_ARGUMENTS = {
    "task_only: fewer rows than inputs": (lambda: jb.task_only(X[:7], Y[:7]), "n_task"),
    "task_only: targets of another length": (lambda: jb.task_only(X, Y[:-1]), "targets"),
    "task_only: targets with three axes": (lambda: jb.task_only(X, Y[:, None, None]), "targets"),
    "task_only: flat inputs": (lambda: jb.task_only(Y, Y), "inputs"),
    "task_only: complex inputs": (lambda: jb.task_only(X + 0j, Y), "inputs"),
    "ridge: fewer rows than inputs": (lambda: jb.ridge(X[:7], Y[:7], 0.0), "pass penalty > 0"),
    "ridge: negative": (lambda: jb.ridge(X, Y, -1e-3), "penalty must be at least 0"),
    "ridge: not a number": (lambda: jb.ridge(X, Y, np.nan), "penalty must be a number"),
    "ridge: several penalties": (lambda: jb.ridge(X, Y, ONES), r"penalty must have shape \(\)"),
    "ridge: targets of another length": (lambda: jb.ridge(X, Y[:-1], 1.0), "targets"),
    "befs: fewer rows than inputs": (lambda: jb.befs(X[:7], Y[:7], B, 0.0), "pass penalty > 0"),
    "befs: fewer rows than latents": (
        lambda: jb.befs(X[:2], Y[:2], B, 1.0),
        "pass inside_penalty > 0",
    ),
    "befs: targets of another length": (lambda: jb.befs(X, Y[:-1], B, 1.0), "targets"),
    "befs: flat inputs": (lambda: jb.befs(Y, Y, B, 1.0), "inputs"),
    "befs: basis of other inputs": (lambda: jb.befs(X, Y, B[:-1], 1.0), "basis"),
    "befs: flat basis": (lambda: jb.befs(X, Y, B[:, 0], 1.0), "basis"),
    "befs: basis of everything": (lambda: jb.befs(X, Y, np.eye(8), 1.0), "basis"),
    "befs: basis not of length 1": (lambda: jb.befs(X, Y, 1.001 * B, 1.0), "basis"),
    "befs: basis not orthogonal": (lambda: jb.befs(X, Y, np.ones((8, 3)), 1.0), "basis"),
    "befs: basis not a number": (lambda: jb.befs(X, Y, np.nan * B, 1.0), "basis"),
    "befs: negative": (lambda: jb.befs(X, Y, B, -1.0), "penalty must be at least 0"),
    "befs: negative inside": (
        lambda: jb.befs(X, Y, B, 1.0, -1.0),
        "inside_penalty must be at least 0",
    ),
    "befs: several penalties": (lambda: jb.befs(X, Y, B, ONES), r"penalty must have shape \(\)"),
    "befs: several inside penalties": (
        lambda: jb.befs(X, Y, B, 1.0, ONES),
        r"inside_penalty must have shape \(\)",
    ),
    "befs_path: a single penalty": (lambda: jb.befs_path(X, Y, B, np.array(1.0)), "penalties"),
    "befs_path: negative": (
        lambda: jb.befs_path(X, Y, B, np.array([1.0, -1.0])),
        "penalties must be at least 0",
    ),
    "befs_path: fewer rows than inputs": (
        lambda: jb.befs_path(X[:7], Y[:7], B, np.array([1.0, 0.0])),
        "pass penalties > 0",
    ),
    "befs_path: fewer rows than latents": (
        lambda: jb.befs_path(X[:2], Y[:2], B, np.ones(2)),
        "pass inside_penalty > 0",
    ),
    "befs_path: several inside penalties": (
        lambda: jb.befs_path(X, Y, B, np.ones(2), np.ones(3)),
        r"inside_penalty must have shape \(\)",
    ),
    "befs_path: basis not orthogonal": (
        lambda: jb.befs_path(X, Y, np.ones((8, 3)), np.ones(2)),
        "basis",
    ),
    "encode: fewer rows than inputs": (lambda: jb.encode(X[:7], R[:7], 2), "pass ridge > 0"),
    "encode: recordings of another length": (lambda: jb.encode(X, R[:-1], 2), "recordings"),
    "encode: flat recordings": (lambda: jb.encode(X, Y, 1), "recordings"),
    "encode: flat inputs": (lambda: jb.encode(Y, R, 1), "inputs"),
    "encode: rank 0": (lambda: jb.encode(X, R, 0), "rank"),
    "encode: more latents than channels": (lambda: jb.encode(X, R, 6), "rank"),
    "encode: as many latents as inputs": (lambda: jb.encode(X, np.tile(R, 3), 8), "rank"),
    "encode: more latents than rows": (lambda: jb.encode(X[:3], R[:3], 4, 0.1), "rank"),
    "encode: rank not whole": (lambda: jb.encode(X, R, True), "rank"),
    "encode: negative ridge": (lambda: jb.encode(X, R, 2, -0.1), "ridge must be at least 0"),
    "encode: several ridges": (lambda: jb.encode(X, R, 2, ONES), r"ridge must have shape \(\)"),
    "encode: infinite ridge": (lambda: jb.encode(X, R, 2, INF), "ridge"),
    "random_subspace: rank 0": (lambda: jb.random_subspace(jr.key(0), 8, 0), "rank"),
    "random_subspace: everything": (lambda: jb.random_subspace(jr.key(0), 8, 8), "rank"),
    "random_subspace: one input": (lambda: jb.random_subspace(jr.key(0), 1, 1), "input_dim"),
    "shuffle_recordings: flat": (lambda: jb.shuffle_recordings(jr.key(0), Y), "recordings"),
}


@pytest.mark.parametrize(("call", "named"), WRONG_ARGUMENTS.values(), ids=WRONG_ARGUMENTS)
def test_wrong_argument_is_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()
