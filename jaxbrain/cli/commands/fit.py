"""`jaxbrain fit`: do a user's own recordings help with a user's own task?"""

from __future__ import annotations

import json as json_module
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from ..answers.fit import answer_of, answer_per_target
from ..errors import (
    UserError,
    drawn,
    flag,
    in_flags,
    memory_problems,
    output_problems,
    seed_problems,
    write_outputs,
)
from ..input.arrays import Arrays
from ..progress import Progress
from ..words.arrays import about_arrays, as_json
from ..words.fit import as_text, doubt, pictured, verdict, what_was_done
from ..words.simulation import duration
from ..words.text import aligned, wrote

if TYPE_CHECKING:
    from ...pilot import PilotData, SplitSizes

_MANY = 1_000_000_000
_BOUNDS = {
    "repeats": (2, 1_000_000),
    "rank": (1, _MANY),
    "components": (2, _MANY),
    "n_brain": (1, _MANY),
    "n_task": (5, _MANY),
    "n_test": (2, _MANY),
    "block": (1, _MANY),
}


def fit(
    arrays: Annotated[Arrays, tyro.conf.OmitArgPrefixes],
    *,
    rank: int | None = None,
    n_brain: int | None = None,
    n_task: int | None = None,
    n_test: int | None = None,
    block: int = 1,
    repeats: int = 100,
    seed: int = 0,
    components: int | None = None,
    whiten: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    per_target: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    plot: Path | None = None,
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    dry_run: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
) -> str:
    """Do these recordings help with this task? Held-out errors on your own arrays.

    Args:
        arrays: Where the arrays are.
        rank: Dimension of the learned subspace. By default left-out recordings choose it.
        n_brain: Rows for the brain stage in each split. By default half of shared rows, all of
            separate ones.
        n_task: Rows for the task stage in each split. By default half of the shared rows that are
            left, a third of separate ones (at least 5).
        n_test: Rows to test on in each split. By default the rest of shared rows, half of the rest
            of separate ones: what remains shows what more labels would do.
        block: Keep that many consecutive rows on the same side of a split. For time series: longer
            than rows stay alike.
        repeats: How many random splits.
        seed: Of the random splits.
        components: Describe the inputs by that many principal components, each with its own
            variance. By default they are taken as they are.
        whiten: Scale the components to variance 1. This takes the spectrum away that ridge and the
            controls live on.
        per_target: List the errors of every target too.
        plot: Draw held-out errors with their intervals, and over labels, into this file: .png,
            .svg or .pdf.
        overwrite: Replace the file of --plot if it exists.
        dry_run: Tell what would be done and about how long it takes, and do no more.
        json: Print JSON instead of a table.
    """
    import jax

    from ... import pilot
    from ...figures import draw_fit
    from ...pilot import PilotError, evaluate, row_correlation, split_sizes

    problems = seed_problems(seed) + memory_problems(arrays.max_gigabytes) + arrays.problems()
    options: dict[str, int | None] = {
        "repeats": repeats,
        "rank": rank,
        "components": components,
        "n_brain": n_brain,
        "n_task": n_task,
        "n_test": n_test,
        "block": block,
    }
    for name, number in options.items():
        low, high = _BOUNDS[name]
        if number is not None and not low <= number <= high:
            said = f"{flag(name)} must lie between {low} and {high}, but it is {number}"
            problems.append(said)
            # The file is looked at all the same, as if this had not been given.
            options[name] = None
    if whiten and components is None:
        problems.append("--whiten scales components: pass --components too")
    problems += output_problems(plot, overwrite, (".png", ".svg", ".pdf"), *arrays.paths)
    if arrays.file is None and not arrays.files:
        raise UserError(problems)
    share = evaluation = as_given = None
    try:
        as_read = arrays.read()
        data = as_read
        original_dim = data.input_dim
        if options["components"] is not None:
            as_given = data
            describe = pilot.whiten if whiten else pilot.principal_components
            data, share = describe(data, options["components"])
        sizes = split_sizes(data, options["n_brain"], options["n_task"], options["n_test"])
        if not problems:
            chosen = data, sizes, repeats, jax.random.key(seed), rank, block, as_given
            if dry_run:
                return _estimate(*chosen)
            evaluation = evaluate(*chosen, progress=Progress("splits"))
    except PilotError as error:
        problems += [
            in_flags(problem, [*options, *arrays.files])
            .replace("fewer components", "fewer components (--components)")
            .replace("max_bytes", "--max-gigabytes")
            for problem in error.problems
        ]
    if evaluation is None:
        raise UserError(problems)
    done = what_was_done(
        data,
        original_dim,
        share,
        evaluation,
        repeats,
        rank is None,
        block,
        whiten,
        not arrays.raw_channels,
    )
    done = about_arrays(as_read, arrays.average_repeats) + done
    alike = row_correlation(pilot.class_indicators(data), block)
    said = verdict(evaluation) + doubt(alike, len(data.targets), block)
    if plot is not None:
        write_outputs(drawn(plot, draw_fit, *pictured(evaluation)), overwrite)
    if json:
        answer = {"what_was_done": done} | answer_of(evaluation) | {"verdict": said}
        answer |= {"arrays": as_json(as_read)}
        if per_target:
            answer["errors_per_target"] = answer_per_target(evaluation)
        return json_module.dumps(answer, indent=2)
    return "\n".join([as_text(evaluation, done, said, per_target), *wrote(plot)])


def _estimate(data: PilotData, sizes: SplitSizes, repeats: int, *options: Any) -> str:
    """What would be done, and for how long: two splits are timed once they are compiled."""
    from ...pilot import evaluate

    evaluate(data, sizes, 2, *options)
    start = time.perf_counter()
    evaluate(data, sizes, 2, *options)
    each = (time.perf_counter() - start) / 2
    numbers = sum(array.size for array in data[:4])
    # Inputs of the rows at hand, a few times over, and the systems of equations.
    n, d = max(sizes.n_brain, sizes.n_task), data.input_dim
    system = min(n, d)
    working = 6 * n * d + 30 * system**2 + 16 * n * data.recordings.shape[1]
    n_brain, n_task, n_test = sizes
    lines = [
        ("splits", f"{repeats} into {n_brain} brain, {n_task} task and {n_test} test rows"),
        ("largest system of equations", f"{system} x {system}"),
        ("memory", f"some {8 * (2 * numbers + working) / 1e9:.2g} GB"),
        ("time", f"about {duration(each * repeats)}, compilation apart"),
    ]
    return "\n".join(aligned(lines))
