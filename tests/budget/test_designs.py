"""What designs lead to: unions of subspaces against plain NumPy, and refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain.simulation.brain_stage import subspace_of_draws
from jaxbrain.simulation.task_stage import moments_of_draw


def encoder(rng, task, k, missed):
    """A random subspace that misses this share of the task."""
    d = len(task)
    aside = rng.standard_normal(d)
    aside -= task * (task @ aside)
    held = np.sqrt(1 - missed) * task + np.sqrt(missed) * aside / np.linalg.norm(aside)
    others = np.column_stack([task, aside, rng.standard_normal((d, k - 1))])
    return np.column_stack([held, np.linalg.qr(others)[0][:, 2:]])


def learned(rng, basis, n, noise):
    inputs = rng.standard_normal((n, len(basis)))
    latents = inputs @ basis + np.sqrt(noise) * rng.standard_normal((n, basis.shape[1]))
    return np.linalg.qr(np.linalg.lstsq(inputs, latents, rcond=None)[0])[0]


@pytest.mark.parametrize(
    ("missed", "sizes", "numbers"),
    [
        ((0.1, 0.3), (4, 6), (120, 90)),
        ((0.3, 0.5), (4, 6), (300, 70)),
        ((0.9, 0.95), (4, 6), (90, 90)),
    ],
)
def test_union_of_independent_subspaces_misses_what_the_odds_say(missed, sizes, numbers):
    """Plain NumPy: two encoders in general position, one union; 1 % and 4 standard errors."""
    rng, d, noise, trials = np.random.default_rng(7), 60, 0.5, 800
    task = np.eye(d)[0]
    left = np.zeros(trials)
    for trial in range(trials):
        parts = [
            learned(rng, encoder(rng, task, k, m), n, noise)
            for m, k, n in zip(missed, sizes, numbers, strict=True)
        ]
        union = np.linalg.qr(np.column_stack(parts))[0]
        left[trial] = 1 - np.sum((union.T @ task) ** 2)
    problems = tuple(
        jb.Problem.isotropic(d, k, 1.0, m, noise) for m, k in zip(missed, sizes, strict=True)
    )
    design = jb.ClosedFormDesign(problems, "befs")
    relative = jnp.stack([design.taught(j, jnp.asarray(float(numbers[j]))) for j in (0, 1)])
    _, penalty = design.outcome(jnp.array([True, True]), relative, jnp.asarray(100.0))
    # λ = σ² q/(n m) tells the m that was used.
    claim = float((d - sum(sizes)) / (100.0 * penalty))
    error = left.std(ddof=1) / np.sqrt(trials)
    assert abs(claim - left.mean()) < 4 * error + 0.01 * claim
    # Neither odds without the correction for dimensions (next to nothing where all is missed), nor
    # the better of the two alone.
    if missed[0] < 0.9:
        plain = float(1 / (1 + jnp.sum((1 - relative) / relative)))
        assert abs(plain - left.mean()) > 4 * error + 0.01 * claim
    assert float(jnp.min(relative)) - left.mean() > 4 * error


def test_random_subspaces_make_a_random_subspace():
    """The rule is exact there: m = 1 − K/d."""
    problems = tuple(jb.Problem.isotropic(40, k, 1.0, 0.5, 1.0) for k in (3, 5, 9))
    design = jb.ClosedFormDesign(problems, "befs")
    relative = jnp.array([1 - k / 40 for k in (3, 5, 9)])
    _, penalty = design.outcome(jnp.array([True] * 3), relative, jnp.asarray(100.0))
    assert (40 - 17) / (100.0 * float(penalty)) == pytest.approx(1 - 17 / 40, rel=1e-12)


def test_a_design_about_something_else_is_refused():
    problem = jb.Problem.isotropic(12, 2, task_snr=1.0, misalignment=0.1, encoding_noise=0.5)
    other = jb.Problem.isotropic(40, 7, task_snr=1.0, misalignment=0.1, encoding_noise=0.5)
    modality = jb.Modality(problem, 0.3)
    simulated = jb.MonteCarloDesign(problem, trials=2, key=jax.random.key(0))
    for modalities, options, said in (
        (modality, {"risk": jb.ClosedFormDesign((other,))}, "pass the same problems"),
        (
            {"a": modality, "b": modality},
            {"risk": jb.ClosedFormDesign((problem,))},
            "pass the same problems",
        ),
        (modality, {"risk": simulated, "estimator": "befs_two_penalties"}, "estimator='befs'"),
    ):
        with pytest.raises(ValueError, match=said):
            jb.tune_allocation(modalities, 100.0, 1.0, **options)


def test_a_simulated_design_has_the_slopes_of_what_it_evaluates():
    """Derivatives of quantiles are right in the mean, and too far off for a descent to settle."""
    problem = jb.Problem.isotropic(12, 2, task_snr=1.0, misalignment=0.1, encoding_noise=0.5)
    design = jb.MonteCarloDesign(problem, trials=20, key=jax.random.key(0))
    at, step = jnp.asarray(30.0), 1e-4
    below, above = design.taught(0, at + jnp.array([-step, step]))
    slope = float(jax.grad(lambda n: design.taught(0, n))(at))
    assert slope == pytest.approx(float(above - below) / (2 * step), rel=1e-6)

    def of_quantiles(at):
        def one(kept):
            draw = subspace_of_draws(kept, design.reduced, design.sizes, at)
            power = design.reduced.misaligned_power
            return moments_of_draw(draw, power, 2, 10, None).misalignment

        return jnp.mean(jax.lax.map(one, design.draws)) / problem.total_power

    value, wrong = jax.value_and_grad(of_quantiles)(at)
    assert float(value) == pytest.approx(float(design.taught(0, at)), rel=1e-12)
    assert float(wrong) == pytest.approx(slope, rel=0.05)
    assert abs(float(wrong) / slope - 1) > 1e-5
