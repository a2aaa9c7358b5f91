"""No public function answers a wrong argument by an error from its inside: it names the argument.

`python -m tests.helpers.hostile` prints how many of some 10 000 calls end how.
"""

import jax.numpy as jnp
import pytest

from tests.helpers import hostile

ALLOWED = {"named", "answer", "computes"}


@pytest.fixture(autouse=True)
def uncompiled():
    with hostile.nothing_is_compiled():
        yield


@pytest.mark.parametrize("function", hostile.CALLS, ids=hostile.title)
def test_a_wrong_argument_is_named(function):
    argument, value = next(iter(hostile.CALLS[function].items()))
    assert hostile.outcome(function, argument, value)[0] in ("answer", "computes")
    found = [call for call in hostile.outcomes(function) if call[2] not in ALLOWED]
    assert found == []


def test_every_public_function_is_called():
    called = {function.__name__ for function in hostile.CALLS}
    assert {*hostile.public_functions()} - called - hostile.RECORDS == set()


def unnamed(number):
    raise ValueError("it must be something else")


@pytest.mark.parametrize(
    ("careless", "ends"),
    [
        (unnamed, {"unnamed"}),
        (lambda number: number.shape, {"answer", "internal"}),
        (lambda number: jnp.asarray(float("nan")), {"NaN", "answer"}),
    ],
)
def test_careless_functions_are_found(monkeypatch, careless, ends):
    monkeypatch.setitem(hostile.CALLS, careless, {"number": 1.0})
    assert {call[2] for call in hostile.outcomes(careless)} == ends
