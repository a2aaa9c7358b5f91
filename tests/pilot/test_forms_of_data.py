"""What the form of data must not decide: spectra, units of channels, stimuli shown twice."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbrain.cli.words.fit import verdict
from jaxbrain.pilot import (
    CONTROLS,
    ESTIMATORS,
    PilotError,
    SplitSizes,
    _groups,
    _plan,
    evaluate,
    judge,
    pilot_data,
    principal_components,
    rows_together,
    split_sizes,
    standardise_channels,
    summarise,
    whiten,
)
from jaxbrain.pilot._draws import draw_rows, longest_of, units_of
from jaxbrain.pilot.splits import _draw_rows
from tests.helpers.cli import refused, run, small_file
from tests.helpers.evaluations import evaluation
from tests.helpers.studies import shared

SIZES, REPEATS, RANK = SplitSizes(100, 20, 66), 10, 3


def sharing_a_spectrum(seed, n=200, d=12, p=20):
    """Brain and task weigh every direction of the inputs at random: they share variances alone."""
    rng = np.random.default_rng(seed)
    components = rng.normal(size=(n, d)) / np.arange(1, d + 1) ** 1.5
    recordings = components @ rng.normal(size=(d, p))
    recordings += 0.2 * recordings.std() * rng.normal(size=(n, p))
    targets = components @ rng.normal(size=(d, 2))
    targets += 0.6 * targets.std(axis=0) * rng.normal(size=(n, 2))
    inputs = components @ np.linalg.qr(rng.normal(size=(d, d)))[0]
    return dict(inputs=inputs, recordings=recordings, targets=targets)


def without_what_was_added(evaluation):
    """As `fit` once compared: no ridge on the inputs as they came, no leading components."""
    curves = evaluation.curves
    errors, losses = curves.errors[:-1].copy(), curves.row_losses[:-1].copy()
    for place, name in enumerate(ESTIMATORS):
        if name.startswith("leading_components"):
            errors[place], losses[place] = 1e3 + np.arange(REPEATS), 1e3
    curves = curves._replace(cells=curves.cells[:-1], errors=errors, row_losses=losses)
    return evaluation._replace(curves=curves, errors_as_given=None)


def seems_to_help(evaluation):
    """By an interval over splits, as `fit` once told."""
    found, errors = judge(evaluation), evaluation.curves.errors
    gap = errors[evaluation.place(found.estimator)] - errors[evaluation.place(found.rival)]
    return summarise(gap).high < 0


def said_of(data, describe):
    fewer, _ = describe(data, data.input_dim)
    found = evaluate(fewer, SIZES, REPEATS, jax.random.key(0), RANK, as_given=data)
    return found, verdict(found)


def test_a_shared_spectrum_is_no_help_though_white_components_made_it_look_so():
    helps = "The recordings help"
    # Of the first six, the old comparison said so of these and of a fourth, and this one of none.
    for seed in (0, 1, 3):
        data = standardise_channels(pilot_data(**sharing_a_spectrum(seed)))
        white, said = said_of(data, whiten)
        assert helps not in said
        assert seems_to_help(without_what_was_added(white))
        kept, said = said_of(data, principal_components)
        assert helps not in said
        # All components are the inputs in other coordinates, which are nothing to ridge.
        ridge = kept.errors[ESTIMATORS.index("ridge")]
        np.testing.assert_allclose(kept.errors_as_given, ridge, rtol=1e-6)
        np.testing.assert_allclose(white.errors_as_given, ridge, rtol=1e-6)


def test_components_on_the_command_line(capsys, tmp_path):
    path = str(tmp_path / "study.npz")
    np.savez(path, **sharing_a_spectrum(2))
    options = ("fit", path, "--components", "12", "--rank", str(RANK), "--n-brain", "100")
    options += ("--n-task", "20", "--n-test", "66", "--repeats", str(REPEATS), "--json")
    for more, what in (((), "12 principal"), (("--whiten",), "12 whitened principal")):
        answer = json.loads(run(capsys, *options, *more))
        assert what in answer["what_was_done"][0]
        assert "ridge_as_given" in answer["errors"]
        assert "help" not in answer["verdict"].replace("do not help", "")
    assert "--whiten scales components" in refused(capsys, "fit", path, "--whiten")


def test_components_keep_their_variances():
    data = shared()
    fewer, share = principal_components(data, 5)
    spectrum = np.linalg.eigvalsh(np.cov(data.brain_inputs.T, bias=True))[::-1]
    np.testing.assert_allclose(
        np.cov(fewer.brain_inputs.T, bias=True), np.diag(spectrum[:5]), atol=1e-10
    )
    assert share == pytest.approx(spectrum[:5].sum() / spectrum.sum())


def test_units_of_a_modality_decide_nothing_unless_asked(capsys, tmp_path):
    """Volts beside teslas; left raw, the modality in the smaller unit is not heard."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(120, 8))
    recordings = rng.normal(size=(120, 10))
    recordings[:, :5] += inputs[:, :2] @ rng.normal(size=(2, 5))
    targets = inputs[:, :2].sum(axis=1) + rng.normal(size=120)
    units = np.where(np.arange(10) < 5, 1e-9, 1.0)
    arrays = dict(inputs=inputs, targets=targets)
    data = [
        standardise_channels(pilot_data(recordings=rows, **arrays)).recordings
        for rows in (recordings, recordings * units)
    ]
    np.testing.assert_allclose(*data, rtol=0, atol=1e-12)
    errors = {}
    for name, rows in (("plain", recordings), ("other units", recordings * units)):
        path = small_file(tmp_path, recordings=rows, **arrays)
        for option in ((), ("--raw-channels",)):
            options = ("--repeats", "4", "--rank", "2", "--json", *option)
            answer = json.loads(run(capsys, "fit", path, *options))
            errors[name, option] = answer["errors"]["befs"]["mean"]
            how = "counting by their variances" if option else "each scaled to variance 1"
            assert how in " ".join(answer["what_was_done"])
    assert errors["other units", ()] == pytest.approx(errors["plain", ()], rel=1e-6)
    raw = ("--raw-channels",)
    assert errors["other units", raw] > 1.05 * errors["plain", raw]


def shown_eight_times(seed):
    """Of 25 stimuli: what is peculiar to one shows in recordings and task, and no input tells."""
    rng = np.random.default_rng(seed)
    stimulus = np.arange(200) // 8
    inputs, effect = rng.normal(size=(25, 12))[stimulus], rng.normal(size=(25, 2))[stimulus]
    recordings = effect @ rng.normal(size=(2, 20)) + 0.5 * rng.normal(size=(200, 20))
    targets = effect + 0.5 * rng.normal(size=(200, 2))
    return dict(inputs=inputs, recordings=recordings, targets=targets)


def test_stimuli_on_both_sides_of_a_split_made_recordings_seem_to_help(monkeypatch):
    helps = "The recordings help"
    for seed in (1, 3):
        data = standardise_channels(pilot_data(**shown_eight_times(seed)))
        found = evaluate(data, SIZES, REPEATS, jax.random.key(0), RANK, as_given=data)
        assert helps not in verdict(found)
        # Three stimuli are fewer rows than inputs, which fails no split.
        assert np.isfinite(found.errors[ESTIMATORS.index("ridge")]).all()
        assert np.isfinite(found.errors_as_given).all()
        with monkeypatch.context() as apart:
            apart.setattr(_groups, "together", lambda inputs, groups, block: None)
            apart.setattr(_plan, "_slack", lambda data, block: 0)
            mixed = evaluate(data, SIZES, REPEATS, jax.random.key(0), RANK, as_given=data)
        assert seems_to_help(mixed)


@pytest.mark.parametrize("shared_rows", [True, False])
def test_a_stimulus_shown_twice_lies_on_one_side_of_every_split(shared_rows):
    rng = np.random.default_rng(0)
    stimulus = rng.permutation(np.arange(120) // 3)
    inputs = rng.normal(size=(40, 12))[stimulus]
    names = ("inputs",) if shared_rows else ("task_inputs", "brain_inputs")
    arrays = {name: inputs for name in names}
    data = pilot_data(
        recordings=rng.normal(size=(120, 20)), targets=rng.normal(size=(120, 2)), **arrays
    )
    group = rows_together(data)
    assert len(set(zip(group, stimulus, strict=True))) == 40
    sizes = SplitSizes(60, 24, 30)
    keys = jax.random.split(jax.random.key(0), 50)

    @jax.jit
    @jax.vmap
    def draw(key):
        return _draw_rows(key, (120, 120), sizes, shared_rows, 1, jnp.asarray(group))

    for parts in zip(*map(np.asarray, draw(keys)), strict=True):
        assert [len(set(rows)) for rows in parts] == list(sizes)
        apart = parts if shared_rows else parts[1:]
        stimuli = [set(stimulus[rows]) for rows in apart]
        assert not any(a & b for i, a in enumerate(stimuli) for b in stimuli[:i])
    # With blocks, what is joined by either stays together.
    joined = rows_together(data, 2)
    for same in (stimulus, np.arange(120) // 2):
        assert all(len(set(joined[same == value])) == 1 for value in set(same))


def test_evaluate_keeps_equal_stimuli_together():
    data = shared(n=120)
    twice = data.brain_inputs[np.arange(120) // 2]
    sizes = split_sizes(data, 60, 20, 30)
    for study, unit in (
        (data, np.arange(120)),
        (data._replace(brain_inputs=twice, task_inputs=twice), np.arange(120) // 2),
    ):
        units = units_of(study, 1)
        np.testing.assert_array_equal(units.task, unit)
        for seed in range(20):
            longest = longest_of(study, sizes, units)
            draw = draw_rows(jax.random.key(seed), sizes, units, 1, longest)
            for task, test in zip(draw.task, draw.test, strict=True):
                assert (len(set(task)), len(set(test))) == (longest, 30)
                assert not set(unit[task]) & set(unit[test])
                assert not set(unit[draw.brain]) & {*unit[test], *unit[task[:20]]}
    with pytest.raises(PilotError, match="keep rows with the same inputs on one side"):
        split_sizes(data._replace(task_inputs=twice), 60, 24, 36)


def test_targets_that_do_not_vary_within_splits_get_no_verdict():
    """The error of ridge is 0: there is no share to tell."""
    found = evaluation()
    none = found.curves._replace(errors=0 * found.curves.errors)
    said = verdict(found._replace(curves=none))
    assert said.startswith("No verdict: the targets do not vary within the splits")
    assert set(CONTROLS) <= set(ESTIMATORS)
