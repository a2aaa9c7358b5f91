"""The verdict on a user's own arrays."""

import importlib.util
import io
import zipfile
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize

import jaxbrain as jb
from jaxbrain.pilot import (
    CONTROLS,
    ESTIMATORS,
    PilotError,
    choose_rank,
    evaluate,
    pilot_data,
    read_pilot,
    row_correlation,
    split_sizes,
    summarise,
    whiten,
)
from jaxbrain.pilot.splits import _displaced, _permuted

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data" / "szinte2024" / "v1.npz"


def study(seed=0, n=400, d=12, k=2, p=20, aligned=True, noise=0.5):
    """Recordings of a k-dimensional subspace, and two tasks inside (or outside) it."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(n, d)) + 3.0
    latents = inputs[:, :k] + 0.2 * rng.normal(size=(n, k))
    recordings = latents @ rng.normal(size=(k, p)) + noise * rng.normal(size=(n, p)) - 5.0
    weights = np.zeros((d, 2))
    weights[slice(0, k) if aligned else slice(k, 2 * k)] = rng.normal(size=(k, 2))
    targets = inputs @ weights + 0.7 * rng.normal(size=(n, 2)) + 100.0
    return inputs, recordings, targets


def shared(**options):
    inputs, recordings, targets = study(**options)
    return pilot_data(inputs=inputs, recordings=recordings, targets=targets)


def means(evaluation):
    errors = np.asarray(evaluation.errors).mean(axis=(1, 2))
    return dict(zip(ESTIMATORS, errors, strict=True))


def reference_errors(data, evaluation, key, repeat):
    """One repeat, written out in NumPy: same rows, everything else independent."""
    n_brain, n_task, n_test = evaluation.sizes
    key_rows, key_shuffle, key_random = jax.random.split(jax.random.fold_in(key, repeat), 3)
    order = np.asarray(jax.random.permutation(jax.random.split(key_rows)[0], len(data.targets)))
    brain, labelled = order[:n_brain], order[n_brain:]
    task, test = labelled[:n_task], labelled[n_task : n_task + n_test]
    d = data.input_dim
    x, r = (a[brain] - a[brain].mean(0) for a in (data.brain_inputs, data.recordings))

    def subspace(rows):
        solution = np.linalg.lstsq(x, rows, rcond=None)[0]
        v = np.linalg.svd(x @ solution, full_matrices=False)[2][: evaluation.rank].T
        return np.linalg.qr(solution @ v)[0]

    shuffled = r[np.asarray(jax.random.permutation(key_shuffle, n_brain))]
    gaussian = np.asarray(jax.random.normal(key_random, (d, evaluation.rank)))
    bases = {
        "befs": subspace(r),
        "random_subspace": np.linalg.qr(gaussian)[0],
        "shuffled_recordings": subspace(shuffled),
        "ridge": np.zeros((d, 1)),
    }
    scale = np.mean((data.task_inputs - data.task_inputs.mean(0)) ** 2)

    def weights(inputs, targets, basis, penalty, inside):
        projection = basis @ basis.T
        matrix = inputs.T @ inputs / len(inputs) + inside * projection
        matrix = matrix + penalty * (np.eye(d) - projection)
        return np.linalg.solve(matrix, inputs.T @ targets / len(inputs))

    def predict(rows, new, basis, penalty, inside):
        a, b = data.task_inputs[rows], data.targets[rows]
        w = weights(a - a.mean(0), b - b.mean(0), basis, penalty, inside)
        return b.mean(0) + (data.task_inputs[new] - a.mean(0)) @ w

    spread = data.targets[task].std(0)

    def score(basis, penalty, inside):
        total = 0.0
        for held_out in np.array_split(task, 5):
            kept = np.setdiff1d(task, held_out)
            missed = data.targets[held_out] - predict(kept, held_out, basis, penalty, inside)
            total += np.sum(np.mean((missed / spread) ** 2, axis=1)) / n_task
        return total

    def best(basis, both):
        """By Nelder and Mead, from every low place of a grid."""

        def at(logs):
            penalty, inside = scale * np.exp(logs[0]), scale * np.exp(logs[1]) if both else 0.0
            return score(basis, penalty, inside)

        # At the ends, none and all of a penalty differ by less than what is compared; above, roundoff of the
        # large one would drown the small one.
        grid = np.log(10) * np.arange(-8.0, 7.0, 2.0 if both else 1.0)
        starts = [(p, i) for p in grid for i in (grid if both else [0.0])]
        starts = sorted(starts, key=at)[:3]
        options = dict(xatol=1e-7, fatol=1e-15, maxiter=2000)
        descend = partial(
            minimize, at, method="Nelder-Mead", bounds=[(grid[0], grid[-1])] * 2, options=options
        )
        lowest = min((descend(start) for start in starts), key=lambda found: found.fun)
        # The simplex may have collapsed on a bound.
        penalty, inside = scale * np.exp(descend(lowest.x).x)
        return penalty, inside if both else 0.0

    def test_error(basis, both=False):
        missed = data.targets[test] - predict(task, test, basis, *best(basis, both))
        return np.mean(missed**2, axis=0) / data.targets.var(0)

    errors = {name: test_error(basis) for name, basis in bases.items()}
    for name in ("befs", "random_subspace", "shuffled_recordings"):
        errors[f"{name}_two_penalties"] = test_error(bases[name], both=True)
    missed = data.targets[test] - predict(task, test, bases["ridge"], 0.0, 0.0)
    errors["task_only"] = np.mean(missed**2, axis=0) / data.targets.var(0)
    penalties = np.array(best(bases["befs"], both=True)) / np.mean(data.task_inputs.var(0))
    return np.stack([errors[name] for name in ESTIMATORS]), penalties


@pytest.mark.long
@pytest.mark.parametrize("n_task", [15, 24])
def test_each_repeat_is_what_numpy_computes(n_task):
    data = shared(n=120)
    sizes = split_sizes(data, 60, n_task, 30)
    key = jax.random.key(3)
    evaluation = evaluate(data, sizes, 3, key, rank=2)
    for repeat in range(3):
        errors, penalties = reference_errors(data, evaluation, key, repeat)
        np.testing.assert_allclose(evaluation.errors[:, repeat], errors, rtol=1e-5)
        logs = np.log10(np.clip([evaluation.penalties[repeat], penalties], 1e-8, 1e6))
        np.testing.assert_allclose(*logs, atol=1e-3)


@pytest.mark.long
def test_aligned_recordings_beat_ridge_and_controls_do_not():
    errors = means(evaluate(shared(), split_sizes(shared(), 200, 20, 100), 40, jax.random.key(0)))
    assert errors["befs"] < 0.9 * errors["ridge"]
    assert errors["ridge"] < min(errors["random_subspace"], errors["shuffled_recordings"])


def test_misaligned_recordings_do_not_help():
    data = shared(aligned=False)
    errors = means(evaluate(data, split_sizes(data, 200, 20, 100), 40, jax.random.key(0)))
    assert errors["befs"] > 0.98 * errors["ridge"]


def test_the_larger_penalty_tells_on_which_side_the_task_is():
    for aligned in (True, False):
        data = shared(aligned=aligned)
        found = evaluate(data, split_sizes(data, 200, 20, 100), 20, jax.random.key(0), rank=2)
        outside, inside = np.asarray(found.penalties).T
        assert np.mean((inside < outside) == aligned) >= 0.9


@pytest.mark.long
def test_repeats_do_not_depend_on_how_many_there_are():
    data = shared(n=120)
    sizes = split_sizes(data)
    few, many = (evaluate(data, sizes, n, jax.random.key(1), rank=2).errors for n in (3, 31))
    np.testing.assert_allclose(few, many[:, :3], rtol=1e-9)


def test_rank_is_recovered_and_ignores_targets():
    data = shared()
    sizes = split_sizes(data)
    assert choose_rank(data, sizes, 5, jax.random.key(0)) == 2
    other = data._replace(targets=data.targets[::-1] * 7.0)
    assert choose_rank(other, sizes, 5, jax.random.key(0)) == 2


@pytest.mark.long
def test_separate_rows_give_the_same_story():
    inputs, recordings, targets = study(n=500)
    data = pilot_data(
        brain_inputs=inputs[:300],
        recordings=recordings[:300],
        task_inputs=inputs[300:],
        targets=targets[300:, 0],
    )
    evaluation = evaluate(data, split_sizes(data, n_task=20), 40, jax.random.key(0))
    errors = means(evaluation)
    assert evaluation.sizes == (300, 20, 180)
    assert errors["befs"] < 0.9 * errors["ridge"]


def test_too_few_task_rows_leave_least_squares_undefined_only():
    data = shared(n=120)
    errors = means(evaluate(data, split_sizes(data, 60, 12, 40), 4, jax.random.key(0), rank=2))
    assert np.isnan(errors.pop("task_only"))
    assert all(np.isfinite(error) for error in errors.values())


def test_whitened_components_are_white_and_say_their_share():
    data = shared()
    white, part = whiten(data, 5)
    np.testing.assert_allclose(
        white.brain_inputs.T @ white.brain_inputs / 400, np.eye(5), atol=1e-10
    )
    spectrum = np.linalg.eigvalsh(np.cov(data.brain_inputs.T))[::-1]
    assert part == pytest.approx(spectrum[:5].sum() / spectrum.sum())
    assert whiten(data, 12)[1] == pytest.approx(1.0)


@pytest.mark.long
def test_a_target_that_is_constant_among_the_task_rows_fails_no_split():
    data = shared(n=120)
    rare = (np.arange(120) % 30 == 0).astype(float)[:, None]
    data = data._replace(targets=np.concatenate([data.targets, rare], axis=1))
    errors = evaluate(data, split_sizes(data, 60, 24, 30), 20, jax.random.key(0), rank=2).errors
    assert np.all(np.isfinite(errors))


def test_units_do_not_matter():
    data = shared(n=120)
    sizes = split_sizes(data, 60, 24, 30)
    scaled = data._replace(
        brain_inputs=data.brain_inputs * 1e-120,
        task_inputs=data.task_inputs * 1e-120,
        recordings=data.recordings * 1e120,
        targets=data.targets * np.array([1e100, 1e-100]),
    )
    here, there = (evaluate(d, sizes, 3, jax.random.key(0)) for d in (data, scaled))
    assert here.rank == there.rank
    np.testing.assert_allclose(here.errors, there.errors, rtol=1e-6)


def test_summary_is_students_interval_and_counts_failures():
    for n in (2, 3, 4, 6, 30, 300):
        values = np.random.default_rng(n).normal(size=n)
        summary = summarise(np.append(values, np.nan))
        low, high = stats.t.interval(0.95, n - 1, values.mean(), stats.sem(values))
        assert (summary.low, summary.high) == pytest.approx((low, high), rel=1e-2, abs=1e-2)
        assert summary.failed == 1
    assert np.isnan(summarise(np.array([1.0, np.nan])).mean)


INPUTS, RECORDINGS, TARGETS = study(n=60)


def with_nan(array):
    return np.where(np.arange(array.size).reshape(array.shape) == 3, np.nan, array)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"inputs": INPUTS, "recordings": RECORDINGS}, "'targets' is missing"),
        (
            {"inputs": INPUTS, "recordings": RECORDINGS, "targets": TARGETS, "x": 1},
            "'x' is not known",
        ),
        (
            {"inputs": INPUTS[:9], "recordings": RECORDINGS, "targets": TARGETS},
            r"recordings has 60 rows, but its inputs have 9\n",
        ),
        (
            {"inputs": INPUTS, "recordings": RECORDINGS, "targets": TARGETS[:9]},
            "targets has 9 rows",
        ),
        (
            {"inputs": with_nan(INPUTS), "recordings": RECORDINGS, "targets": TARGETS},
            "inputs holds NaN",
        ),
        (
            {"inputs": INPUTS, "recordings": RECORDINGS * 0, "targets": TARGETS},
            "recordings is constant",
        ),
        (
            {"inputs": INPUTS[:, 0], "recordings": RECORDINGS, "targets": TARGETS},
            r"inputs must have rows .*: a single column is array\[:, None\]",
        ),
        (
            {"inputs": INPUTS, "recordings": RECORDINGS.T, "targets": TARGETS},
            "recordings has 20 rows, but its inputs have 60: transpose it",
        ),
        (
            {"inputs": INPUTS, "recordings": RECORDINGS, "targets": TARGETS[:, 0] > 0},
            "its type is bool: save numbers as float, and two classes as 1 and -1",
        ),
        (
            {"inputs": INPUTS[:, :1], "recordings": RECORDINGS, "targets": TARGETS},
            "at least 2 columns",
        ),
        (
            {"inputs": INPUTS, "recordings": RECORDINGS, "targets": TARGETS.astype(str)},
            "targets must hold",
        ),
        (
            {
                "brain_inputs": INPUTS,
                "recordings": RECORDINGS,
                "task_inputs": INPUTS[:, 1:],
                "targets": TARGETS,
            },
            "brain_inputs has 12 columns",
        ),
    ],
)
def test_wrong_arrays_are_named(arrays, said):
    with pytest.raises(PilotError, match=said):
        pilot_data(**arrays)


def test_all_problems_are_told_at_once():
    with pytest.raises(PilotError) as caught:
        pilot_data(inputs=with_nan(INPUTS), recordings=RECORDINGS * 0, targets=with_nan(TARGETS))
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"n_brain": 10}, "n_brain = 10 rows cannot teach"),
        ({"n_brain": 70}, "only 60 recorded rows: pass 14 to 53"),
        ({"n_task": 3}, "too few to choose a penalty"),
        ({"n_test": 1}, "too few to test"),
        ({"n_brain": 30, "n_task": 20, "n_test": 20}, "only 30 rows left"),
    ],
)
def test_sizes_that_cannot_be_are_named(sizes, said):
    data = pilot_data(inputs=INPUTS, recordings=RECORDINGS, targets=TARGETS)
    with pytest.raises(PilotError, match=said):
        split_sizes(data, **sizes)


def test_too_many_brain_rows_blame_nothing_else():
    data = pilot_data(inputs=INPUTS, recordings=RECORDINGS, targets=TARGETS)
    with pytest.raises(PilotError) as caught:
        split_sizes(data, n_brain=70)
    assert len(caught.value.problems) == 1
    with pytest.raises(PilotError) as caught:
        split_sizes(data, n_brain=70, n_task=3)
    assert len(caught.value.problems) == 2
    split_sizes(data, n_brain=53)
    with pytest.raises(PilotError):
        split_sizes(data, n_brain=54)


@pytest.mark.parametrize("block", [0, 21])
def test_blocks_too_long_for_three_parts_are_refused(block):
    data = pilot_data(inputs=INPUTS, recordings=RECORDINGS, targets=TARGETS)
    with pytest.raises(PilotError, match=f"block = {block} rows: .* pass 1 to 20"):
        evaluate(data, split_sizes(data), 3, jax.random.key(0), rank=2, block=block)


def test_collinear_inputs_and_impossible_ranks_are_named():
    doubled = np.concatenate([INPUTS[:, :6], INPUTS[:, :6]], axis=1)
    data = pilot_data(inputs=doubled, recordings=RECORDINGS, targets=TARGETS)
    with pytest.raises(PilotError, match="6 independent directions"):
        evaluate(data, split_sizes(data), 3, jax.random.key(0), rank=2)
    data = pilot_data(inputs=INPUTS, recordings=RECORDINGS, targets=TARGETS)
    with pytest.raises(PilotError, match="rank = 12") as caught:
        evaluate(data, split_sizes(data), 1, jax.random.key(0), rank=12)
    assert len(caught.value.problems) == 2
    with pytest.raises(PilotError, match="rank cannot be chosen"):
        evaluate(data, split_sizes(data, n_brain=15), 3, jax.random.key(0))
    with pytest.raises(PilotError, match="components must lie between 2 and 12"):
        whiten(data, 13)


def test_files_that_are_no_arrays_are_refused(tmp_path):
    with pytest.raises(PilotError, match="no such file"):
        read_pilot(tmp_path / "absent.npz")
    whole = tmp_path / "whole.npz"
    np.savez(whole, inputs=INPUTS, recordings=RECORDINGS, targets=TARGETS)
    (tmp_path / "cut.npz").write_bytes(whole.read_bytes()[:-100])
    np.save(tmp_path / "single.npy", INPUTS)
    (tmp_path / "text.npz").write_text("1,2,3")
    (tmp_path / "empty.npz").write_bytes(b"")
    for name in ("cut.npz", "single.npy", "text.npz", "empty.npz"):
        with pytest.raises(PilotError, match=r"not an \.npz file, or damaged: save") as caught:
            read_pilot(tmp_path / name)
        assert name in str(caught.value)
        assert "pickle" not in str(caught.value)
    with pytest.raises(PilotError, match="Is a directory"):
        read_pilot(tmp_path)


def stored(**entries):
    """An archive of these entries, byte by byte, with the other arrays of a study as they should be."""
    content = io.BytesIO()
    arrays = {"inputs": INPUTS, "recordings": RECORDINGS, "targets": TARGETS}
    with zipfile.ZipFile(content, "w") as archive:
        for name, array in arrays.items():
            entry = io.BytesIO()
            np.save(entry, array)
            archive.writestr(f"{name}.npy", entries.get(name, entry.getvalue()))
    return content.getvalue()


def header(shape):
    """An .npy entry that claims to have this shape."""
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def of_method(content, method):
    """The archive as if the first of its entries were compressed in another way."""
    place = content.index(b"PK\x01\x02")
    local, central = 8, place + 10
    changed = bytearray(content)
    changed[local : local + 2] = changed[central : central + 2] = method.to_bytes(2, "little")
    return bytes(changed)


def encrypted(content):
    place = content.index(b"PK\x01\x02")
    changed = bytearray(content)
    changed[6] |= 1
    changed[place + 8] |= 1
    return bytes(changed)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (stored(inputs=header("(499999999995, 5)")), "cannot be read .*: save it again"),
        (stored(inputs=header("(9223372036854775807, 9223372036854775807)")), "cannot be read"),
        (stored(inputs=header("(True, 5)")), "cannot be read"),
        (stored(inputs=header("(((")), "cannot be read"),
        (encrypted(stored()), "cannot be read .*encrypted"),
        (of_method(stored(), 99), "cannot be read .*compression"),
        (of_method(stored(), zipfile.ZIP_LZMA), "cannot be read"),
        (of_method(stored(), zipfile.ZIP_BZIP2), "cannot be read"),
        (stored(inputs=b"plain text"), "is not an array of numpy"),
    ],
)
def test_damaged_arrays_are_named_with_their_file(tmp_path, content, said):
    path = tmp_path / "study.npz"
    path.write_bytes(content)
    with pytest.raises(PilotError, match=f"study.npz: array 'inputs' {said}"):
        read_pilot(path)


def test_python_objects_are_never_loaded_and_hide_no_other_fault(tmp_path):
    objects = np.array([{"a": 1}], dtype=object)
    np.savez(tmp_path / "study.npz", inputs=objects, recordings=RECORDINGS * 0, targets=TARGETS)
    with pytest.raises(PilotError) as caught:
        read_pilot(tmp_path / "study.npz")
    first, second = caught.value.problems
    assert first.endswith(
        "array 'inputs' holds Python objects, which are never loaded: save it as numbers"
    )
    assert "recordings is constant" in second


def run_of_a_scanner(seed, n=150, d=12, p=20):
    """Inputs, and noise that recordings and targets share, each slow; nothing depends on the inputs."""
    rng = np.random.default_rng(seed)
    slow = rng.normal(size=(n, d + 1))
    for row in range(1, n):
        slow[row] = 0.95 * slow[row - 1] + np.sqrt(1 - 0.95**2) * slow[row]
    inputs, noise = slow[:, :d], slow[:, d:]
    recordings = noise + 0.3 * rng.normal(size=(n, p))
    return pilot_data(
        inputs=inputs, recordings=recordings, targets=noise + 0.3 * rng.normal(size=(n, 1))
    )


@pytest.mark.long
def test_blocks_undo_what_neighbouring_rows_pretend():
    data = run_of_a_scanner(1)
    sizes, key = split_sizes(data, 80, 30, 40), jax.random.key(0)

    def gain(block):
        errors = np.asarray(evaluate(data, sizes, 60, key, rank=1, block=block).errors)
        errors = dict(zip(ESTIMATORS, errors.mean(axis=2), strict=True))
        return summarise(errors["befs"] - errors["ridge"])

    assert gain(1).high < 0
    assert gain(30).high > 0


@pytest.mark.parametrize(("n", "block"), [(17, 4), (16, 4), (5, 1), (9, 3)])
def test_a_permutation_keeps_blocks_together(n, block):
    firsts = set()
    for seed in range(20):
        rows = np.asarray(_permuted(jax.random.key(seed), n, block))
        assert sorted(rows) == list(range(n))
        # Within a block each row is followed by the next.
        inside = rows[:-1] % block < block - 1
        inside &= rows[:-1] < n - 1
        assert np.all(np.diff(rows)[inside] == 1)
        firsts.add(int(rows[0]))
    assert firsts == set(range(0, n, block))


@pytest.mark.parametrize(("n", "block"), [(16, 4), (17, 8), (7, 5), (5, 1)])
def test_the_shuffled_control_leaves_no_block_in_its_place(n, block):
    for seed in range(20):
        rows = np.asarray(_displaced(jax.random.key(seed), n, block))
        assert sorted(rows) == list(range(n))
        if block > 1:
            assert not np.any(rows == np.arange(n))


def test_rows_that_follow_each_other_are_alike_in_a_time_series():
    data = run_of_a_scanner(1)
    for lag in (1, 5):
        by_hand = [
            np.mean([np.corrcoef(x[lag:], x[:-lag])[0, 1] for x in columns.T])
            for columns in (data.recordings, data.targets)
        ]
        assert row_correlation(data, lag) == pytest.approx(max(by_hand), abs=0.05)
    assert row_correlation(data) > 0.5
    assert abs(row_correlation(data, lag=60)) < row_correlation(data)
    assert abs(row_correlation(shared())) < 2 / 20


@pytest.mark.long
def test_a_single_run_of_v1_shows_nothing_in_blocks(v1):
    """What single rows show of it may be noise that neighbours share."""
    assert row_correlation(v1) > 0.5
    sizes = split_sizes(v1, 80, 30, 40)
    evaluation = evaluate(v1, sizes, 100, jax.random.key(0), rank=3, block=15)
    errors = dict(zip(ESTIMATORS, np.asarray(evaluation.errors).mean(axis=2), strict=True))
    assert errors["ridge"].mean() > 1
    for name in CONTROLS:
        assert summarise(errors[name] - errors["ridge"]).high > 0


@pytest.fixture
def v1(tmp_path):
    """V1 responses to moving bars and other vertices of the same scan, 20 components of the stimulus."""
    if not REAL.exists():
        pytest.skip("the recordings are not part of the package")
    path = ROOT / "notebooks" / "prepare_szinte2024.py"
    spec = importlib.util.spec_from_file_location("prepare_szinte2024", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.prepare(REAL, tmp_path / "v1_fit.npz")
    return whiten(read_pilot(tmp_path / "v1_fit.npz"), 20)[0]


@pytest.mark.long
def test_real_recordings_beat_ridge_and_both_beat_the_controls(v1):
    """V1 responses to moving bars teach inputs that help to predict other vertices."""
    evaluation = evaluate(v1, split_sizes(v1, 80, 30, 40), 100, jax.random.key(0), rank=3)
    errors = dict(zip(ESTIMATORS, np.asarray(evaluation.errors).mean(axis=2), strict=True))
    for better, worse in (
        ("befs", "ridge"),
        ("ridge", "shuffled_recordings"),
        ("ridge", "random_subspace"),
    ):
        paired = summarise(errors[worse] - errors[better])
        assert paired.low > 0, (better, worse)


@pytest.mark.long
@pytest.mark.parametrize("name", ["LeaveOneOut", "GeneralizedCrossValidation", "KFold"])
def test_tuned_befs_on_real_recordings_is_no_worse_than_a_grid(v1, name):
    """In the criterion on every split, and on test rows in the mean over 30 splits."""
    grid = np.geomspace(1e-3, 1e3, 50)
    rng, missed = np.random.default_rng(0), {"tuned": [], "grid": []}
    path_of = jax.jit(jb.befs_path)
    for _ in range(30):
        brain, task, test = np.split(rng.permutation(len(v1.task_inputs)), [80, 110])
        seen, recorded = (a[brain] - a[brain].mean(0) for a in (v1.brain_inputs, v1.recordings))
        basis = jb.encode(seen, recorded, 3)
        inputs, targets = v1.task_inputs[task], v1.targets[task]
        objective = getattr(jb, name)(inputs, targets, basis)
        tuned = jb.tune_penalty(objective)
        scores = jax.lax.map(objective, np.asarray(grid) * float(objective.natural_penalty()))
        assert bool(tuned.converged)
        assert float(tuned.value) <= float(scores.min()) * (1 + 1e-12)
        chosen = grid[int(scores.argmin())] * float(objective.natural_penalty())
        # An infinite penalty by a very large one: the path takes both at once.
        penalties = np.array([min(float(tuned.penalty), 1e12), chosen])
        shifts = inputs.mean(0), targets.mean(0)
        weights = path_of(inputs - shifts[0], targets - shifts[1], basis, penalties)
        for label, each in zip(missed, np.asarray(weights), strict=True):
            off = v1.targets[test] - shifts[1] - (v1.task_inputs[test] - shifts[0]) @ each
            missed[label].append(np.mean(off**2 / v1.targets.var(0)))
    tuned, chosen = (np.array(missed[label]) for label in ("tuned", "grid"))
    paired = summarise(tuned - chosen)
    assert paired.low <= 0 or tuned.mean() < 1.005 * chosen.mean()
