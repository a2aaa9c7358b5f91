"""The estimators for scikit-learn: its own checks, and what the library says."""

import jax
import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import jaxbrain as jb
from jaxbrain.estimators.task import weights_of_each_target
from jaxbrain.pilot import encoding_rank
from jaxbrain.sklearn import BEFS, BandedRidge, RidgeBaseline, TaskOnly

pytestmark = pytest.mark.filterwarnings("ignore:neither recordings nor an? :UserWarning")


def refused(estimator):
    """Of weights that leave fewer rows than inputs, which least squares refuse."""
    if not isinstance(estimator, TaskOnly):
        return {}
    return {"check_sample_weight_equivalence_on_dense_data": "leaves 27 rows of 30 inputs"}


@parametrize_with_checks(
    [
        TaskOnly(),
        RidgeBaseline(penalty=1.0),
        BEFS(penalty=1.0),
        BandedRidge(penalty=1.0, encoder_penalty=1.0),
    ],
    expected_failed_checks=refused,
)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


# Tuning compiles anew for the arrays of every check. Some have hardly more rows than inputs, and no
# penalty that is best.
@pytest.mark.study
@pytest.mark.filterwarnings("ignore:the penalty has not converged")
@parametrize_with_checks(
    [RidgeBaseline(), BEFS(), BandedRidge()],
    expected_failed_checks=lambda _: {
        "check_sample_weight_equivalence_on_dense_data": "two equal rows are left out one by one, "
        "a row of weight 2 with all its weight"
    },
)
def test_checks_of_scikit_learn_with_tuned_penalties(estimator, check):
    check(estimator)


def study(seed=0, snr=0.3):
    model = jb.presets.small(task_snr=snr)
    keys = jax.random.split(jax.random.key(seed), 3)
    seen, recordings = map(np.asarray, model.sample_brain(keys[0], 1000))
    X, y = map(np.asarray, model.sample_task(keys[1], 120))
    new, truth = map(np.asarray, model.sample_task(keys[2], 4000))
    return model, seen, recordings, X, y, new, truth


def test_befs_is_that_of_the_library():
    _, seen, recordings, X, y, new, _ = study()
    fitted = BEFS(rank=6, inside_penalty=0.0).fit(X, y, recordings, seen)
    centred = X - X.mean(0), y - y.mean()
    ridge = jb.fit_encoder(seen, recordings).penalty
    assert fitted.encoding_ridge_ == pytest.approx(float(ridge), rel=1e-3)
    basis = jb.encode(seen - seen.mean(0), recordings - recordings.mean(0), 6, ridge)
    np.testing.assert_allclose(fitted.basis_ @ fitted.basis_.T, basis @ basis.T, atol=1e-6)
    tuned = jb.tune_penalty(jb.LeaveOneOut(X, y, basis))
    assert fitted.penalty_ == pytest.approx(float(tuned.penalty), rel=1e-4)
    weights = jb.befs(*centred, fitted.basis_, fitted.penalty_)
    np.testing.assert_allclose(fitted.coef_, weights, atol=1e-8)
    np.testing.assert_allclose(
        fitted.predict(new), (new - X.mean(0)) @ weights + y.mean(), atol=1e-7
    )


def test_recordings_help_and_shuffled_ones_do_not():
    model, seen, recordings, X, y, new, truth = study()
    scores = {
        "befs": BEFS(rank=6).fit(X, y, recordings, seen).score(new, truth),
        "banded": BandedRidge().fit(X, y, recordings, seen).score(new, truth),
        "shuffled": BEFS(rank=6).fit(X, y, recordings[::-1], seen).score(new, truth),
        "shuffled banded": BandedRidge().fit(X, y, recordings[::-1], seen).score(new, truth),
        "ridge": RidgeBaseline().fit(X, y).score(new, truth),
        "ols": TaskOnly().fit(X, y).score(new, truth),
        "oracle": BEFS(basis=np.asarray(model.encoder)).fit(X, y).score(new, truth),
    }
    assert scores["oracle"] > scores["befs"] - 0.02
    names = "shuffled", "shuffled banded", "ridge", "ols"
    assert min(scores["befs"], scores["banded"]) > max(scores[name] for name in names) + 0.02


class Asked(Exception):
    """Of an objective that is looked at instead of being tuned."""


@pytest.mark.parametrize(
    ("criterion", "kind"),
    [
        ("leave_one_out", jb.LeaveOneOut),
        ("gcv", jb.GeneralizedCrossValidation),
        (np.int64(4), jb.KFold),
    ],
)
def test_the_criterion_and_its_options_say_what_is_tuned(criterion, kind, monkeypatch):
    """Built but not compiled: what comes of each is tested with the objectives."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 5)), rng.standard_normal((40, 2))
    basis = np.eye(5)[:, :2]

    def ask(objective):
        raise Asked(objective)

    monkeypatch.setattr("jaxbrain.sklearn._penalties.tune_penalty", ask)
    for estimator, both, per_target in (
        (RidgeBaseline(criterion=criterion), False, False),
        (RidgeBaseline(criterion=criterion, per_target=True), False, True),
        (BEFS(basis=basis, criterion=criterion), True, False),
        (BEFS(basis=basis, criterion=criterion, inside_penalty=0.1), False, False),
        (BandedRidge(encoder=basis, criterion=criterion), True, False),
        (BEFS(basis=basis, criterion=criterion, per_target=True), False, True),
    ):
        with pytest.raises(Asked) as caught:
            estimator.fit(X, y)
        (objective,) = caught.value.args
        assert type(objective) is kind
        assert (objective.both_penalties, objective.per_target) == (both, per_target)
        if kind is jb.KFold:
            assert len(objective.counts) == criterion


@pytest.mark.parametrize(
    "criterion",
    ["leave_one_out", *(pytest.param(x, marks=pytest.mark.study) for x in ("gcv", 4))],
)
def test_both_penalties_and_one_a_target(criterion):
    _, seen, recordings, X, y, new, _ = study()
    both = BEFS(rank=6, inside_penalty="auto", criterion=criterion)
    both.fit(X, y, recordings=recordings, recorded_inputs=seen)
    assert both.inside_penalty_ > 0
    assert both.tuned_.converged
    targets = np.column_stack([y, np.random.default_rng(0).standard_normal(len(y))])
    own = RidgeBaseline(criterion=criterion, per_target=True).fit(X, targets)
    alone = RidgeBaseline(criterion=criterion).fit(X, y)
    assert own.penalty_.shape == (2,)
    assert own.penalty_[0] == pytest.approx(alone.penalty_, rel=1e-5)
    np.testing.assert_allclose(own.predict(new)[:, 0], alone.predict(new), atol=1e-5)


def test_works_in_cross_validation_pipelines_and_searches():
    _, seen, recordings, X, y, *_ = study()
    plain = cross_val_score(BEFS(rank=6, penalty=1.0), X, y, cv=4, params={
        "recordings": recordings, "recorded_inputs": seen,
    })  # fmt: skip
    ridge = cross_val_score(RidgeBaseline(penalty=1.0), X, y, cv=4)
    assert plain.mean() > ridge.mean()
    # Recordings of the same rows are split with them.
    rows = np.random.default_rng(0).standard_normal((len(X), 10)) + X[:, :10]
    split = cross_val_score(BEFS(rank=2, penalty=1.0), X, y, cv=3, params={"recordings": rows})
    assert np.all(np.isfinite(split))
    pipeline = make_pipeline(StandardScaler(), RidgeBaseline(penalty=0.5))
    assert cross_val_score(pipeline, X, y, cv=3).shape == (3,)
    search = GridSearchCV(BEFS(basis=np.eye(64)[:, :3]), {"penalty": [0.1, 1.0]}, cv=3).fit(X, y)
    assert search.best_params_["penalty"] in (0.1, 1.0)
    assert clone(BEFS(rank=3)).get_params()["rank"] == 3


def test_nothing_need_be_given_where_recorded_rows_are_fewer_than_inputs():
    """Also behind a PCA, which the inputs of the recordings go through too."""
    _, seen, recordings, X, y, new, truth = study(seed=1, snr=1.0)
    seen, recordings = seen[:60], recordings[:60]
    fitted = BEFS().fit(X, y, recordings=recordings, recorded_inputs=seen)
    assert fitted.encoding_ridge_ > 0
    assert fitted.inside_penalty_ > 0
    assert fitted.score(new, truth) > RidgeBaseline().fit(X, y).score(new, truth)
    with config_context(enable_metadata_routing=True):
        for estimator in (
            BEFS(rank=3, penalty=1.0, inside_penalty=0.1),
            BandedRidge(penalty=1.0, encoder_penalty=0.1),
        ):
            estimator.set_fit_request(recordings=True, recorded_inputs=True)
            steps = [("pca", PCA(20)), ("learn", estimator)]
            behind = Pipeline(steps, transform_input=["recorded_inputs"])
            behind.fit(X, y, recordings=recordings, recorded_inputs=seen)
            describe = PCA(20).fit(X).transform
            alone = clone(estimator).fit(describe(X), y, recordings, describe(seen))
            np.testing.assert_allclose(behind.predict(new), alone.predict(describe(new)), atol=1e-9)


def test_banded_ridge_is_that_of_the_library():
    _, seen, recordings, X, y, new, _ = study()
    fitted = BandedRidge(penalty=2.0, encoder_penalty=0.3).fit(X, y, recordings, seen)
    encoder = jb.fit_encoder(seen, recordings, fitted.encoding_ridge_).weights
    np.testing.assert_allclose(fitted.encoder_, encoder, atol=1e-10)
    weights = jb.banded_ridge(X - X.mean(0), y - y.mean(), encoder, 2.0, 0.3)
    np.testing.assert_allclose(
        fitted.predict(new), (new - X.mean(0)) @ weights + y.mean(), atol=1e-9
    )
    known = BandedRidge(penalty=2.0, encoder_penalty=0.3, encoder=encoder).fit(X, y)
    np.testing.assert_allclose(known.coef_, fitted.coef_, atol=1e-12)
    counts = np.random.default_rng(0).integers(0, 4, len(X))
    weighted = clone(known).fit(X, y, sample_weight=counts).coef_
    repeated = clone(known).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts)).coef_
    np.testing.assert_allclose(weighted, repeated, rtol=1e-8)


def test_rank_is_chosen_by_the_recordings():
    _, seen, recordings, X, y, *_ = study()
    fitted = BEFS(penalty=1.0).fit(X, y, recordings=recordings, recorded_inputs=seen)
    assert 4 <= fitted.rank_ <= 7


def test_double_precision_whatever_jax_is_set_to(single_precision):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 5)) + 1e4
    y = X @ np.arange(5.0)
    np.testing.assert_allclose(TaskOnly().fit(X, y).coef_, np.arange(5.0), atol=1e-7)


def test_wrong_arguments_are_named():
    _, seen, recordings, X, y, *_ = study()
    with pytest.warns(UserWarning, match="neither recordings nor a basis"):
        BEFS(penalty=1.0).fit(X, y)
    with pytest.raises(ValueError, match="do not belong to inputs"):
        BEFS(rank=2).fit(X, y, recordings=recordings)
    with pytest.raises(ValueError, match="but no recordings"):
        BEFS(rank=2).fit(X, y, recorded_inputs=seen)
    assert BEFS(penalty=1.0, basis=np.eye(64)[:, :2]).fit(X, y).inside_penalty_ == 0.0
    with pytest.raises(ValueError, match="'auto' tunes both"):
        BandedRidge(penalty=1.0, encoder=np.eye(64)[:, :2]).fit(X, y)
    with pytest.raises(ValueError, match="both an encoder and recordings"):
        BandedRidge(encoder=np.eye(64)[:, :2]).fit(X, y, recordings, seen)
    with pytest.raises(ValueError, match=r"transform_input=\['recorded_inputs'\]"):
        BEFS(rank=2).fit(X[:, :9], y, recordings, seen)
    for wrong in (True, "best", None):
        with pytest.raises(ValueError, match="encoding_ridge must be 'auto' or one number"):
            BEFS(rank=2, encoding_ridge=wrong).fit(X, y, recordings, seen)
    with pytest.raises(ValueError, match="ridge > 0"):
        BEFS(rank=2, encoding_ridge=0.0).fit(X, y, recordings[:40], seen[:40])
    with pytest.raises(ValueError, match="criterion must be"):
        RidgeBaseline(criterion="aic").fit(X, y)
    with pytest.raises(ValueError, match="penalty must be 'auto' or one number"):
        RidgeBaseline(penalty="best").fit(X, y)
    with pytest.raises(ValueError, match="basis has 3 rows"):
        BEFS(basis=np.eye(3)[:, :1]).fit(X, y)


def test_what_rows_do_not_determine_is_refused_or_warned_of():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 8))
    y = X[:, 0] + rng.normal(size=40)
    basis = np.linalg.qr(rng.normal(size=(8, 2)))[0]
    with pytest.raises(ValueError, match="8 samples do not determine 8 weights"):
        TaskOnly().fit(X[:8], y[:8])
    with pytest.raises(ValueError, match="do not determine 9 weights"):
        TaskOnly().fit(np.c_[X, X[:, 0]], y)
    with pytest.raises(ValueError, match="basis: 2 rows to learn from do not determine 3 weights"):
        BEFS(basis=basis, inside_penalty=0.0).fit(X[:3], y[:3])
    with pytest.warns(ConvergenceWarning, match="2 samples may be too few"):
        RidgeBaseline().fit(X[:2], y[:2])


def test_arguments_that_contradict_each_other_are_refused():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 8))
    y = X[:, 0] + rng.normal(size=40)
    for estimator, fitted, said in (
        (BEFS(basis=np.ones((8, 2))), {}, "basis has columns that depend"),
        (BEFS(basis=np.eye(8, 2)), {"recordings": X}, "both a basis and recordings"),
        (BEFS(basis=np.eye(8, 2), rank=3), {}, "rank is 3, but the basis has 2"),
        (BEFS(basis=np.eye(8, 2), inside_penalty="foo"), {}, "inside_penalty must be 'auto'"),
        (RidgeBaseline(penalty=np.array([1.0, 2.0])), {}, "penalty must be 'auto' or one number"),
        (RidgeBaseline(penalty=None), {}, "penalty must be 'auto' or one number"),
        (RidgeBaseline(criterion=True), {}, "criterion must be"),
    ):
        with pytest.raises(ValueError, match=said):
            estimator.fit(X, y, **fitted)


def test_a_constant_target_leaves_the_penalty_of_the_others_alone():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 8))
    y = X[:, 0] + rng.normal(size=40)
    alone = RidgeBaseline().fit(X, y).penalty_
    # No float is 0.1: the variance of forty of them is not 0.
    beside = RidgeBaseline().fit(X, np.c_[y, np.full(40, 0.1)]).penalty_
    assert beside == pytest.approx(alone, rel=1e-5)


def test_a_weight_of_two_is_a_row_twice():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 8))
    y, counts = X[:, 0] + rng.normal(size=40), rng.integers(0, 4, 40)
    for estimator in (TaskOnly(), RidgeBaseline(penalty=0.1), BEFS(basis=np.eye(8, 2), penalty=1)):
        weighted = estimator.fit(X, y, sample_weight=counts).coef_
        repeated = clone(estimator).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
        np.testing.assert_allclose(weighted, repeated.coef_, rtol=1e-9)
        assert np.max(np.abs(weighted - clone(estimator).fit(X, y).coef_)) > 1e-3


def test_groups_are_left_out_together():
    """Rows that repeat their group tell nothing of others: the penalty is larger with groups."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(10), 6)
    centres = rng.normal(size=(10, 8))
    X = centres[groups] + 0.05 * rng.normal(size=(60, 8))
    y = rng.normal(size=10)[groups] + 0.1 * rng.normal(size=60)
    together = RidgeBaseline().fit(X, y, groups=groups)
    assert together.penalty_ > 10 * RidgeBaseline().fit(X, y).penalty_
    both = RidgeBaseline(per_target=True).fit(X, np.c_[y, y[::-1]], groups=groups)
    assert both.penalty_[0] == pytest.approx(together.penalty_, rel=1e-4)
    with pytest.raises(ValueError, match="'gcv' knows no groups"):
        RidgeBaseline(criterion="gcv").fit(X, y, groups=groups)
    with pytest.raises(ValueError, match="two groups or more"):
        RidgeBaseline().fit(X, y, groups=0 * groups)
    for unknown in (np.where(groups > 5, None, groups), np.where(groups > 5, np.nan, groups)):
        with pytest.raises(ValueError, match="groups must name a group for each row"):
            RidgeBaseline().fit(X, y, groups=unknown)
    with pytest.raises(ValueError, match="groups must be names of one kind"):
        RidgeBaseline().fit(X, y, groups=np.where(groups > 5, "a", groups.astype(object)))
    for criterion in (np.array([1, 2]), 100, "aic"):
        with pytest.raises(ValueError, match="criterion must"):
            RidgeBaseline(criterion=criterion).fit(X, y)


def test_groups_reach_the_choice_of_the_rank():
    """A response that all rows of a group share is no signal of other groups."""
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(24), 5)
    X = rng.normal(size=(24, 12))[groups] + 0.05 * rng.normal(size=(120, 12))
    shared = rng.normal(size=(24, 20))[groups]
    recordings = 3 * X[:, :2] @ rng.normal(size=(2, 20)) + shared
    y, order = X[:, 0] + rng.normal(size=120), rng.permutation(120)
    X, y, recordings, groups = (array[order] for array in (X, y, recordings, groups))
    assert encoding_rank(X, recordings, groups=groups) == 2 < encoding_rank(X, recordings)
    fit = BEFS(penalty=1.0).fit
    assert fit(X, y, recordings, groups=groups).rank_ == 2 < fit(X, y, recordings).rank_
    # Rows recorded with inputs of their own have groups of their own.
    own = {"recordings": recordings, "recorded_inputs": X, "recorded_groups": groups}
    assert fit(X[:60], y[:60], groups=groups[:60], **own).rank_ == 2
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        fit(X, y, recordings, groups=groups[1:])
    with pytest.raises(ValueError, match="groups must have shape"):
        encoding_rank(X, recordings, groups=groups[1:])


def test_a_tuned_penalty_of_weighted_rows_is_that_of_the_objective():
    """A penalty is one a unit of weight: only ratios of weights matter."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 8))
    y, weights = X[:, 0] + rng.normal(size=40), rng.integers(0, 4, 40)
    kept = weights > 0
    objective = jb.LeaveOneOut(X[kept], y[kept], sample_weight=weights[kept])
    penalty = float(jb.tune_penalty(objective).penalty)
    for factor in (1, 1e-3):
        fitted = RidgeBaseline().fit(X, y, sample_weight=factor * weights)
        assert fitted.penalty_ == pytest.approx(penalty, rel=1e-6)
    same = RidgeBaseline(penalty=penalty).fit(np.repeat(X, weights, axis=0), np.repeat(y, weights))
    np.testing.assert_allclose(fitted.coef_, same.coef_, rtol=0, atol=1e-6)
    assert RidgeBaseline().fit(X, y).penalty_ != pytest.approx(penalty, rel=1e-2)


def test_weights_of_rows_that_cannot_be_are_named():
    X, y = np.eye(4), np.arange(4.0)
    for weights, said in (
        ([1, 2, 3], r"sample_weight must have shape \(4,\)"),
        ([1, 2, 3, -1], "sample_weight must be at least 0"),
        (np.zeros(4), "sample_weight is zero everywhere"),
        (np.ma.masked_array(np.ones(4), mask=[0, 0, 0, 1]), "sample_weight has masked entries"),
    ):
        with pytest.raises(ValueError, match=said):
            RidgeBaseline(penalty=1.0).fit(X, y, sample_weight=weights)


def test_a_penalty_for_each_target_is_ridge_of_each():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(40, 8)), rng.normal(size=(40, 3))
    penalties = np.array([0.1, 1.0, np.inf])
    with jax.enable_x64(True):
        arrays = (jax.numpy.asarray(array) for array in (X, Y))
        found = weights_of_each_target(*arrays, None, penalties, jax.numpy.zeros(()))
    for target, penalty in enumerate(penalties):
        np.testing.assert_allclose(found[:, target], jb.ridge(X, Y[:, target], penalty), atol=1e-12)


def test_masked_entries_and_units_of_inputs():
    rng = np.random.default_rng(0)
    X, units = rng.normal(size=(40, 4)), np.array([1e-8, 1e-3, 1e3, 1e8])
    y = X @ np.arange(4.0)
    np.testing.assert_allclose(TaskOnly().fit(X * units, y).coef_ * units, np.arange(4), atol=1e-9)
    with pytest.raises(ValueError, match="X has masked entries"):
        TaskOnly().fit(np.ma.masked_array(X, mask=X > 2), y)


@pytest.mark.parametrize("constant", [0.1, 1e8 / 3, 1e-20 / 3])
def test_a_constant_input_is_no_input(constant):
    for n in range(20, 40):
        X = np.random.default_rng(n).standard_normal((n, 4))
        X[:, 2] = constant
        with pytest.raises(ValueError, match="do not determine 4 weights"):
            TaskOnly().fit(X, X[:, 0])
