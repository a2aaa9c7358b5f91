"""A count is a whole number, however it is written: 1e3 is one, 1.5 and True are none."""

import jax
import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain.pilot import evaluate, split_sizes
from tests.helpers.studies import shared

KEY = jax.random.key(0)
X = np.random.default_rng(0).normal(size=(40, 12))
MODEL = jb.presets.small()
STUDY = shared(n=120)
SIZES = split_sizes(STUDY)


def problem(**sizes):
    sizes = {"input_dim": 24, "latent_dim": 2, "recording_dim": 16} | sizes
    found = jb.Problem(
        **sizes,
        latent_noise=0.3,
        gain=1.0,
        recording_noise=2.0,
        aligned_power=[1.0, 1.0],
        misaligned_power=0.2,
        task_noise=0.5,
    )
    assert all(isinstance(getattr(found, name), int) for name in sizes)


def no_start(penalty):
    return penalty


# A call with the count, a count that is right, and what is wrong next: nothing is computed.
COUNTS = {
    "rank": (lambda n: jax.eval_shape(lambda x: jb.encode(x, x[:, :4], n), X), 3, None),
    "input_dim": (lambda n: problem(input_dim=n), 24, None),
    "latent_dim": (lambda n: problem(latent_dim=n), 2, None),
    "recording_dim": (lambda n: problem(recording_dim=n), 16, None),
    "n": (lambda n: jax.eval_shape(lambda key: MODEL.sample_task(key, n), KEY), 5, None),
    "folds": (lambda n: jb.KFold(X, X[:, 0], folds=n, groups=np.zeros(40)), 2, "groups must"),
    "n_brain": (lambda n: split_sizes(STUDY, n_brain=n), 60, None),
    "repeats": (lambda n: evaluate(STUDY, SIZES, n, KEY, block=-1), 5, "block must be"),
    "block": (lambda n: evaluate(STUDY, SIZES, 5, KEY, block=n, rank=-1), 2, "rank"),
    "starts": (lambda n: jb.tune_penalty(no_start, starts=n), 2, "start must be given"),
    "max_steps": (lambda n: jb.tune_penalty(no_start, max_steps=n), 100, "start must be given"),
    "trials": (lambda n: jb.sweep(MODEL, [], [70], [], trials=n, key=KEY), 1000, "n_brain must"),
    "seeds": (
        lambda n: jb.sweep(MODEL, [], [70], [], trials=2, seeds=n, key=KEY),
        1,
        "n_brain must",
    ),
}


@pytest.mark.parametrize(("name", "case"), COUNTS.items(), ids=COUNTS)
def test_counts_are_whole_however_they_are_written(name, case):
    call, right, next_fault = case
    for wrong in (right + 0.5, float("nan"), float("inf"), True, -right):
        with pytest.raises(ValueError, match=f"{name} must be"):
            call(wrong)
    for written in (right, float(right), np.int32(right), np.float32(right)):
        if next_fault is None:
            call(written)
        else:
            with pytest.raises(ValueError, match=next_fault):
                call(written)
