"""Made-up evaluations of known truth: ridge follows a power law, and recordings gain so much."""

import numpy as np

from jaxbrain.pilot import (
    CONTROLS,
    ESTIMATORS,
    Cell,
    Curves,
    Design,
    Evaluation,
    SplitSizes,
)

N_BRAIN, N_TASK, N_TEST, REPEATS = 100, 50, 100, 20
MORE = (25, 50, 100, 200)


def law(n):
    return 0.4 + 4.0 / n


def evaluation(gain=0.0, noise=1e-6, numbers=MORE, seed=0, below_ridge=(), **changes):
    """Ridge follows a power law; recordings take `gain` off its error; controls do nothing."""
    rng = np.random.default_rng(seed)
    cells = [Cell(name, 0, N_TASK) for name in ESTIMATORS]
    errors = dict.fromkeys(ESTIMATORS, law(N_TASK))
    for name in CONTROLS:
        place = ESTIMATORS.index(name)
        cells[place] = Cell(name, N_BRAIN, N_TASK)
        errors[name] -= gain
    errors |= dict(below_ridge)
    means = [*errors.values(), *(law(n) for n in numbers if n != N_TASK)]
    cells += [Cell("ridge", 0, n) for n in numbers if n != N_TASK]
    rows = 400
    means = np.array(means)[:, None]
    curves = Curves(
        tuple(cells),
        means + noise * rng.normal(size=(len(cells), REPEATS)),
        means + noise * rng.normal(size=(len(cells), rows)),
        np.arange(rows),
        Design(rows, rows, N_BRAIN, N_TEST, True),
        rng.permuted(np.tile(np.arange(rows), (REPEATS, 1)), axis=1),
        np.repeat(rng.permuted(np.tile(np.arange(rows), (REPEATS // 2, 1)), axis=1), 2, axis=0),
    )
    found = Evaluation(
        np.repeat(curves.errors[: len(ESTIMATORS), :, None], 2, axis=2),
        np.tile([1.0, 0.1], (REPEATS, 1)),
        2,
        SplitSizes(N_BRAIN, N_TASK, N_TEST),
        np.array(list(errors.values())),
        curves,
    )
    return found._replace(**changes)
