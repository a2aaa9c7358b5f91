"""The page on estimators: its table is that of the registry, and says what is called and where."""

import json
import re
from pathlib import Path

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain._arguments import BASELINES, ESTIMATORS
from jaxbrain.estimators import VARIANTS, registry
from jaxbrain.simulation.data_trials import SUBSPACES

PAGE = Path(__file__).parents[2] / "docs" / "estimators.md"
TABLE = re.compile(r"<!-- estimators -->\n\n(.*?)\n*<!-- end -->", re.DOTALL)
HEAD = ("name", "what it does", "control of", "functions", "penalties", "fit", "sweep", "plan")
# The rivals that see no recordings, by what `baseline` calls them.
RIVALS = {"ols": "task_only", "ridge": "ridge"}
FUNCTIONS = {
    *("encode", "fit_encoder", "oracle_subspace", "random_subspace", "shuffle_recordings"),
    *("banded_ridge", "befs", "ridge", "task_only"),
}


def call(variant, monkeypatch):
    """The functions that an estimator calls, in their order, and how many penalties it passes."""
    called, passed = [], []
    inputs, targets, basis = jnp.ones((3, 4)), jnp.ones(3), jnp.eye(4, 2)
    model = jb.LinearGaussianModel(np.eye(4, 2), np.eye(3, 2), 0.1, 0.2, np.ones(4), 1.0)

    def note(name):
        def called_instead(*arguments):
            called.append(name)
            passed.extend(x for x in arguments if isinstance(x, float) and x != 0)
            return (basis, 1.0) if name == "fit_encoder" else basis

        return called_instead

    for name in FUNCTIONS:
        monkeypatch.setattr(registry, name, note(name))
    found = variant.learned(jr.key(0), 2, inputs=inputs, recordings=inputs, model=model)
    variant.weights(inputs, targets, found, 0.3, 0.2)
    return called, len(passed)


def expected_table(monkeypatch):
    lines = [HEAD, ("---",) * len(HEAD)]
    for variant in VARIANTS:
        name = variant.name
        called, n_penalties = call(variant, monkeypatch)
        compared, rival = name in jb.pilot.ESTIMATORS, name in RIVALS.values()
        lines.append(
            (
                f"`{name}`",
                variant.summary,
                f"`{variant.control_of}`" if variant.control_of else "",
                " → ".join(f"`{function}`" for function in called),
                str(n_penalties),
                "yes" if compared else "",
                "by name" if name in SUBSPACES else "always" if rival else "",
                "estimator" if name in ESTIMATORS else "baseline" if rival else "",
            )
        )
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def test_the_table_is_that_of_the_registry(monkeypatch):
    assert set(RIVALS) == set(BASELINES)
    found = TABLE.search(PAGE.read_text())
    assert found is not None
    assert found[1] == expected_table(monkeypatch)


def test_the_table_of_weightings_is_that_of_the_benchmark():
    results = json.loads((PAGE.parents[1] / "benchmarks/results/weightings.json").read_text())
    recordings, simulated = (results["results"][name] for name in ("recordings", "simulated"))
    head = ("prior", *recordings, *simulated)
    lines = [head, ("---",) * len(head)]
    tables = *recordings.values(), *simulated.values()
    names = dict.fromkeys(name for table in tables for name in table)
    for name in names:
        gains = [f"{table[name][1]:+.3f}" if name in table else "" for table in recordings.values()]
        risks = [f"{table[name][0]:.3f}" if name in table else "" for table in simulated.values()]
        if name == "ridge":
            gains = [f"{table[name][0]:.3f}" for table in recordings.values()]
        lines.append((name, *gains, *risks))
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    found = re.search(r"<!-- weightings -->\n\n(.*?)\n*<!-- end -->", PAGE.read_text(), re.DOTALL)
    assert found is not None
    assert found[1] == table


def test_the_table_of_weightings_in_theory_is_that_of_the_benchmark():
    stored = PAGE.parents[1] / "benchmarks/results/weightings_theory.json"
    results = json.loads(stored.read_text())["results"]
    lines = [("prior", *results), ("---",) * (1 + len(results))]
    for name in next(iter(results.values())):
        lines.append((name, *(f"{risks[name]:.3f}" for risks in results.values())))
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    assert f"<!-- weightings in theory -->\n\n{table}\n\n<!-- end -->" in PAGE.read_text()
    # Two closed forms of one estimator.
    for risks in results.values():
        assert abs(risks["power 0"] / risks["two penalties"] - 1) < 0.002


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_an_estimator_passes_as_many_penalties_as_it_says(variant, monkeypatch):
    assert call(variant, monkeypatch)[1] == variant.n_penalties
    assert variant.summary.endswith(".")
    assert sum(other.summary == variant.summary for other in VARIANTS) == 1
