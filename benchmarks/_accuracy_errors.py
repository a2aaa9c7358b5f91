"""How far the closed forms are from exact simulation, cell by cell."""

import itertools
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

import jaxbrain as jb
from jaxbrain.models.problem import TracedProblem
from jaxbrain.theory.brain_stage import subspace_moments
from jaxbrain.theory.resolvent import resolvent
from jaxbrain.theory.task_stage import best_penalty, task_stage

from ._accuracy_draws import ALIKE, study

MISALIGNMENTS = (0.0, 0.1, 0.5, 0.9)
TASK_NOISE = (1.0, 10.0)
LABELS = (0.5, 1.5, 10.0)  # in units of the number of inputs
SHIFTS = {
    "on the sensitive subspace": (1.0, 0.0, 0.0),
    "off it": (0.0, 1.0, 1.0),
    "on the missed direction": (0.2, 6.0, 0.5),
}


def problem_of(cell: dict, misalignment: float) -> jb.Problem:
    d, k, p = (cell[name] for name in "dkp")
    gain, latent_noise, recording_noise, power = study(d, k, p, cell["n"], cell["regime"])
    return jb.Problem(
        input_dim=d,
        latent_dim=k,
        recording_dim=p,
        latent_noise=latent_noise,
        gain=gain,
        recording_noise=recording_noise,
        aligned_power=(1 - misalignment) * power,
        misaligned_power=misalignment,
        task_noise=1.0,
    )


def wishart_eigenvalues(q: int, n: int) -> np.ndarray:
    """Of W ~ Wishart_q(n), from which simulated traces follow at every penalty: (draws, q)."""
    draws = int(np.clip(1e8 / (n * q), 10, 300))  # large ones hardly differ from draw to draw
    rng = np.random.default_rng([2026, 3, q, n])
    inputs = rng.standard_normal((draws, n, q))
    return np.clip(np.linalg.eigvalsh(inputs.transpose(0, 2, 1) @ inputs), 0, None)


def simulated_block_risk(
    eigenvalues: np.ndarray, k: int, n: int, noise: float, c: float, moments: dict, shift: tuple
) -> float:
    """The exact task stage (docs/theory.md, eq. 17) on simulated traces and simulated subspaces."""
    q = eigenvalues.shape[1]
    inverse = 1 / (eigenvalues + c)
    t1, t2 = inverse.sum(1).mean(), (inverse**2).sum(1).mean()
    u2 = ((inverse.sum(1) ** 2).mean() + 2 * t2) / (q * (q + 2))
    across = (t2 / q - u2) / (q - 1) if q > 1 else 0.0
    along = u2 - across if q > 1 else t2
    sensitive, missed, rest = shift
    outer = missed + (q - 1) * rest

    def inside(weight, kept):  # E of weight times tr P̂Σ, given E weight and E weight tr P̂P
        return sensitive * kept + outer * (k * weight - kept) / q

    total = k * sensitive + outer
    m, kept, m_kept = moments["m"], moments["kept"], moments["m_kept"]
    base, slope = noise * (t1 - c * t2), c**2 * t2 / q
    risk = ((noise + base) * inside(1.0, kept) + slope * inside(m, m_kept)) / (n - k - 1)
    risk += noise * (t1 - c * t2) / q * (total - inside(1.0, kept))
    risk += c**2 * across * (total * m - inside(m, m_kept))
    quadratic = sensitive * moments["through_sensitive"] + rest * moments["through_rest"]
    quadratic += (missed - rest) * moments["along"]
    return risk + c**2 * along * quadratic


def mixed_moments(cell: dict, m: float) -> dict:
    """Moments of K̂β for β = √(1−m) b + √m v from those of b, inside, and v, outside."""

    def mix(inner, outer):
        return (1 - m) * cell[inner] + m * cell[outer]

    through = mix("Pb", "Pv")
    return {
        "m": mix("in_b", "out_v"),
        "kept": cell["kept"],
        "m_kept": mix("in_b*kept", "out_v*kept"),
        "through_sensitive": through,
        "through_rest": mix("in_b", "out_v") - through,
        "along": mix("vb", "vv"),
    }


def brain_errors(cells: list[dict]) -> list[dict]:
    """Relative errors of E m̂, of the risk at its best penalty, and of the risk under shifts."""
    groups: dict = {}
    for cell in cells:
        # Latents alike have their noise from the number of recordings: a problem for each.
        number = cell["n"] if cell["regime"].startswith(ALIKE) else None
        sides = cell["d"], cell["k"], cell["p"], cell["regime"], number
        groups.setdefault(sides, []).append(cell)
    eigenvalues = {
        (d, k, factor): wishart_eigenvalues(d - k, labels(d, k, factor) - k)
        for d, k in {(d, k) for d, k, *_ in groups}
        for factor in LABELS
    }
    rows = []
    for group in groups.values():
        d, k = group[0]["d"], group[0]["k"]
        n_brain = jnp.array([float(cell["n"]) for cell in group])
        n_task = jnp.array([float(labels(d, k, factor)) for _, factor in cases()])
        for m in MISALIGNMENTS:
            problem = problem_of(group[0], m).with_traced_sizes()
            claims = claimed(problem, n_brain, n_task)
            missed, penalties, risks = jax.tree.map(np.asarray, claims)
            for place, cell in enumerate(group):
                row = {name: cell[name] for name in ("d", "k", "p", "n", "regime")}
                row |= {"misalignment": m, "monte_carlo": cell["error"], "risk": 0.0, "shift": 0.0}
                row["missed"] = missed[place] / ((1 - m) * cell["in_b"] + m * cell["out_v"]) - 1
                for case, ((noise, factor), penalty) in enumerate(
                    zip(cases(), penalties[:, place], strict=True)
                ):
                    n = labels(d, k, factor)
                    for number, shift in enumerate(((1.0, 1.0, 1.0), *SHIFTS.values())):
                        simulated = simulated_block_risk(
                            eigenvalues[d, k, factor],
                            k,
                            n,
                            noise,
                            n * penalty,
                            mixed_moments(cell, m),
                            shift,
                        )
                        error = risks[case, number, place] / simulated - 1
                        kind = "shift" if number else "risk"
                        row[kind] = max(row[kind], error, key=abs)
                rows.append(row)
    return rows


def cases() -> list[tuple[float, float]]:
    return list(itertools.product(TASK_NOISE, LABELS))


def labels(d: int, k: int, factor: float) -> int:
    return max(round(factor * d), k + 2)


@jax.jit
def claimed(problem: TracedProblem, n_brain: Array, n_task: Array) -> tuple[Array, Array, Array]:
    """E m̂, best penalties and risks, in one program for all problems with as many latents."""
    penalties, risks = [], []
    shifts = [jb.BlockShift(*shift) for shift in SHIFTS.values()]
    white, *shifted = (
        subspace_moments(problem, n_brain, shift, "finite") for shift in (None, *shifts)
    )
    for (noise, _), n in zip(cases(), n_task, strict=True):
        noisy = eqx.tree_at(lambda x: x.task_noise, problem, jnp.asarray(noise))
        penalty = best_penalty(noisy, white, n)
        penalties.append(penalty)
        risks.append(
            jnp.stack(
                [
                    task_stage(noisy, subspace, n, penalty, "finite").risk
                    for subspace in (white, *shifted)
                ]
            )
        )
    return white.misalignment, jnp.stack(penalties), jnp.stack(risks)


def two_penalty_errors(cells: list[dict]) -> list[dict]:
    """Relative error of the two-penalty risk at C, two splits of the task, simulated traces."""
    from jaxbrain.theory.two_penalties import _risk

    @partial(jax.jit, static_argnums=0)
    def claims(sizes, *cells):
        return jax.vmap(partial(_risk, sizes, jnp.asarray(1.0)))(*cells)

    rows = []
    for k in sorted({cell["k"] for cell in cells}):
        here = [cell for cell in cells if cell["k"] == k]
        d = here[0]["d"]
        inner, outer, n = (
            np.array([float(cell[name]) for cell in here]) for name in ("c_in", "c_out", "n")
        )
        for inside, outside in ((0.9, 0.1), (0.3, 0.7)):
            powers = np.full(len(here), inside), np.full(len(here), outside)
            found = claims((k, d - k), inner, outer, *powers, n)
            for cell, claim in zip(here, np.asarray(found), strict=True):
                a, b = cell["c_in"], cell["c_out"]
                simulated = a**2 * inside / k * cell["tr_in_G2"] + cell["tr_GWG"]
                simulated += b**2 * outside / (d - k) * cell["tr_out_G2"]
                rows.append({"k": k, "n": cell["n"], "c": (a, b), "error": claim / simulated - 1})
    return rows


def trace_errors(cells: list[dict]) -> list[dict]:
    rows = []
    for cell in cells:
        c, q, n = (jnp.asarray(float(cell[name])) for name in ("c", "q", "N"))
        moments = resolvent(c, jnp.ones_like(c), q, n)
        rows.append(
            {
                **{name: cell[name] for name in ("q", "N", "c")},
                "t1": float(moments.t1) / cell["t1"] - 1,
                "t2": float(moments.c_t2 / c) / cell["t2"] - 1,
                "t11": float(moments.c2_t11 / c**2) / cell["t11"] - 1,
            }
        )
    return rows
