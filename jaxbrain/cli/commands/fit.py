"""`jaxbrain fit`: do a user's own recordings help with a user's own task?"""

from __future__ import annotations

import json as json_module
from typing import Annotated

import tyro

from ..answers.fit import answer_of, answer_per_target
from ..errors import UserError, flag, in_flags, memory_problems, seed_problems
from ..input.arrays import Arrays
from ..words.arrays import about_arrays, as_json
from ..words.fit import as_text, doubt, verdict, what_was_done

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
    repeats: int = 300,
    seed: int = 0,
    components: int | None = None,
    whiten: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    per_target: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
) -> str:
    """Do these recordings help with this task? Held-out errors on your own arrays.

    Args:
        arrays: Where the arrays are.
        rank: Dimension of the learned subspace. By default cross-validation chooses it.
        n_brain: Rows for the brain stage in each split. By default half of shared rows, all of
            separate ones.
        n_task: Rows for the task stage in each split. By default half of the shared rows that are
            left (at least 5), two thirds of separate ones.
        n_test: Rows to test on in each split; by default the rest.
        block: Keep that many consecutive rows on the same side of a split. For time series: longer
            than rows stay alike.
        repeats: How many random splits.
        seed: Of the random splits.
        components: Describe the inputs by that many principal components, each with its own
            variance. By default they are taken as they are.
        whiten: Scale the components to variance 1. This takes the spectrum away that ridge and the
            controls live on.
        per_target: List the errors of every target too.
        json: Print JSON instead of a table.
    """
    import jax

    from ... import pilot
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
    if arrays.file is None and not arrays.files:
        raise UserError(problems)
    share = evaluation = as_given = None
    try:
        as_read = arrays.read()
        data = pilot.class_indicators(as_read)
        original_dim = data.input_dim
        if not arrays.raw_channels:
            data = pilot.standardise_channels(data)
        if options["components"] is not None:
            as_given = data
            describe = pilot.whiten if whiten else pilot.principal_components
            data, share = describe(data, options["components"])
        sizes = split_sizes(data, options["n_brain"], options["n_task"], options["n_test"])
        if not problems:
            evaluation = evaluate(data, sizes, repeats, jax.random.key(seed), rank, block, as_given)
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
    said = verdict(evaluation) + doubt(row_correlation(data, block), len(data.targets), block)
    if json:
        answer = {"what_was_done": done} | answer_of(evaluation) | {"verdict": said}
        answer |= {"arrays": as_json(as_read)}
        if per_target:
            answer["errors_per_target"] = answer_per_target(evaluation)
        return json_module.dumps(answer, indent=2)
    return as_text(evaluation, done, said, per_target)
