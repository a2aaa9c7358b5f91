"""Strict numerics for every test: no silent promotion, annotations executed, a float32 leg."""

from pathlib import Path

import jax
import pytest
from jaxtyping import install_import_hook

from tests.helpers.smoke import is_smoke

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

with install_import_hook("jaxbrain", "beartype.beartype"):
    import jaxbrain  # noqa: F401


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(items):
    """Mark the tests that CI runs on the newest Python and JAX too."""
    for item in items:
        if is_smoke(item.nodeid):
            item.add_marker(pytest.mark.smoke)


@pytest.fixture(scope="module", autouse=True)
def compiled_programs_end_before_the_system_runs_out():
    """A compiled program holds memory maps for good, and Linux grants a process 65 530 of them.

    The suite needs more in all: beyond that the compiler crashes. Programs hold memory too, some
    gigabytes of it. Dropping them has the next module compile again what it shares with this one,
    so they are dropped from time to time.
    """
    yield
    maps = Path("/proc/self/maps")
    if not maps.exists() or maps.read_bytes().count(b"\n") > 4_000:
        jax.clear_caches()


@pytest.fixture
def single_precision():
    """The float32 leg: the test runs as if x64 had never been turned on."""
    with jax.enable_x64(False):
        yield
