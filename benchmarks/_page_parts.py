"""The tables of benchmarks/README.md, each a function of the newest results."""

import json

from . import _measure
from ._formats import duration, results, table, times, timing


def conditions() -> str:
    record = json.loads((_measure.RESULTS / "closed_forms.json").read_text())
    versions, limits = record["versions"], record["results"]["limits"]
    return (
        f"{record['machine']['cores']} cores ({record['machine']['cpu']}), JAX "
        f"{versions['jax']}, Python "
        f"{'.'.join(versions['python'].split('.')[:2])}, NumPy {versions['numpy']}, double "
        "precision. Medians, "
        "extremes in brackets. What the machine does at best, measured in the same run: "
        f"{limits['arithmetic_gflop_per_s']:.0f} GFLOP/s in a product of matrices, "
        f"{limits['memory_gb_per_s']:.1f} GB/s through memory, {duration(limits['dispatch_s'])} "
        "for a program "
        f"that does nothing, {limits['sum_over_latents_ns_per_term']:.2f} ns for a term of the "
        "sum over latents, "
        "of which the closed forms consist."
    )


def closed_forms() -> str:
    found, plans = results("closed_forms"), results("allocations")
    value, gradient = found["value"], found["value_and_gradient_of_each_cell"]
    cells = found["cells"]
    rows = [
        [
            f"value, {cells:,} cells by broadcasting",
            timing(value["jaxbrain"]),
            duration(value["jaxbrain"]["first_s"]),
            timing(value["numpy"]),
            times(value["times_faster"]),
            f"{value['largest_relative_difference']:.0e}",
            f"{value['fraction_of_limit']:.1%}",
        ],
        [
            f"value and its gradient, {cells:,} cells each on its own",
            timing(gradient["jaxbrain"]),
            duration(gradient["jaxbrain"]["first_s"]),
            f"{duration(cells * gradient['numpy_one_cell']['median_s'])}, by differences, from "
            "one cell",
            times(gradient["times_faster"]),
            f"{gradient['largest_relative_difference']:.0e}",
            f"{gradient['fraction_of_limit']:.1%}",
        ],
    ]
    for name in ("isotropic, befs", "fmri preset, befs"):
        plan = plans[name]
        theirs = plans["allocations"] * plan["scipy_one_allocation"]["median_s"]
        apart = max(abs(ratio - 1) for ratio in plan["risk_over_that_of_scipy"])
        rows.append(
            [
                f"{plans['allocations']:,} finite allocations, {name.split(',')[0]}",
                timing(plan),
                duration(plan["first_s"]),
                f"{duration(theirs)}, SciPy, from {plan['scipy_one_allocation']['repetitions']}",
                times(theirs / plan["median_s"]),
                f"{apart:.0e} in risk",
                "",
            ]
        )
    name = "isotropic, befs_two_penalties against ridge"
    plan = plans[name]
    what = f"{plans['allocations']:,} finite allocations, isotropic, two penalties against ridge"
    rows.append([what, timing(plan), duration(plan["first_s"]), "", "", "", ""])
    head = ("what", "jaxbrain", "first call", "NumPy", "ratio", "difference", "of the limit")
    growth = found["growth"]
    return table(head, rows) + (
        "\n\nThe time grows with the number of cells to the power "
        f"{growth['exponent_in_cells']:.2f} "
        "(in sizes timed on their own, 10 000 to a million of them: "
        f"{duration(growth['cells']['times'][2]['median_s'])} to "
        f"{duration(growth['cells']['times'][-1]['median_s'])}), with that of latents to the power "
        f"{growth['exponent_in_latents']:.2f} (800 to 12 800). "
        f"Memory at its peak {found['peak_memory_gb']:.1f} GB, imports and gradients included."
    )


def brain_stage() -> str:
    found = results("brain_stage")
    rows = []
    for what, size in (
        ("n_brain", "recordings"),
        ("inputs", "inputs, 512 channels"),
        ("inputs, iterated", "inputs, 1 024 channels"),
        ("channels", "channels"),
    ):
        sides = found[what]["rows"]
        both = [row for row in sides if "numpy" in row]
        exponent, largest = found[what]["exponents"], both[-1]
        apart = max(abs(row["difference_in_standard_errors"]) for row in both)
        rows.append(
            [
                f"{sides[0]['size']:,} to {sides[-1]['size']:,} {size}",
                f"{duration(sides[0]['jaxbrain']['median_s'])} to "
                f"{duration(sides[-1]['jaxbrain']['median_s'])}",
                f"{exponent['jaxbrain']:.2f}",
                f"{exponent['numpy']:.2f}",
                f"{duration(largest['numpy']['median_s'])} at {largest['size']:,}",
                times(largest["numpy"]["median_s"] / largest["jaxbrain"]["median_s"]),
                f"{sides[-1]['jaxbrain']['peak_memory_gb']:.1f} GB; "
                f"{largest['numpy']['peak_memory_gb']:.1f} GB",
                f"{apart:.1f}",
            ]
        )
    head = (
        "a draw, as these grow",
        "jaxbrain",
        "exponent",
        "exponent of NumPy",
        "NumPy",
        "ratio there",
        "memory at the largest: ours; NumPy's",
        "difference in standard errors",
    )
    dense = found["dense"]
    fmri = results("simulation")["fmri draw"]["slowest_over_fastest_n_brain"]["wall"] - 1
    return table(head, rows) + (
        f"\n\nWith {dense['inputs']} inputs and as many channels the eigenvectors of one matrix, "
        "without which "
        f"there is no draw, are {dense['fraction_of_limit']:.0%} of its time. At fMRI scale the "
        "slowest "
        f"number of recordings took {fmri:.0%} longer than the fastest.\n\n"
        "![Time of a draw against recordings, inputs and channels](plots/brain_stage.png)"
    )


def simulation() -> str:
    found = results("simulation")
    equal, data = found["equal error"], found["per trial"]

    def fastest(sides: dict) -> float:
        return min(side["wall_s"] for side in sides.values())

    ratio = equal["times_less_wall_time_for_the_same_standard_error"]
    both = equal["seconds_for_the_standard_error_of_that_sweep_in_the_median_cell"]
    ours, theirs = equal["jaxbrain_a_trial"]["wall_s"], fastest(equal["numpy_a_trial"])
    ours_data, theirs_data = data["jaxbrain_a_trial"]["wall_s"], fastest(data["numpy_a_trial"])
    apart, worst = equal["agreement_in_standard_errors"], equal["worst_cell"]
    rows = [
        [
            "one trial of the whole grid, reduced draws",
            duration(theirs),
            duration(ours),
            times(theirs / ours),
        ],
        [
            f"wall time for the same standard error, median of {apart['cells']} cells",
            duration(both["numpy"]),
            duration(both["jaxbrain"]),
            times(ratio["median"]),
        ],
        ["the same, a tenth of the cells is below", "", "", times(ratio["tenth"])],
        [
            f"the same, worst cell (n_brain {worst['n_brain']}, n_task {worst['n_task']})",
            "",
            "",
            times(ratio["least"]),
        ],
        [
            "share of the cells with 1 000 or more",
            "",
            "",
            f"{equal['share_of_cells_with_at_least_1000_times_less_wall_time']:.0%}",
        ],
        [
            'one trial, `method="data"`',
            duration(theirs_data),
            duration(ours_data),
            times(theirs_data / ours_data),
        ],
    ]
    grid = equal["grid"]
    by_cell = [
        [f"{n:,}", *(times(cell) for cell in row)]
        for n, row in zip(
            grid["n_brain"], equal["median_over_penalties_by_n_brain_and_n_task"], strict=True
        )
    ]
    return (
        table(("what", "NumPy", "jaxbrain", "ratio"), rows)
        + f"\n\nThe means agree within {apart['largest']:.1f} standard errors "
        f"in all {apart['cells']} cells (root mean "
        f"square {apart['root_mean_square']:.2f}). The eigenvectors without which there is no "
        "trial, those of one matrix "
        f"for each number of recordings, are {equal['fraction_of_limit']:.0%} of the time of a "
        "trial with reduced draws. "
        "How many times longer NumPy takes, by recordings (down) and labels "
        "(across), in the median over penalties:\n\n"
        + table(["n_brain \\ n_task", *map(str, grid["n_task"])], by_cell)
    )


def fmri() -> str:
    draw, found = (results("simulation")[part] for part in ("fmri draw", "fmri value"))
    rows = []
    for n, row in found["by_n_brain"].items():
        value = row["value_against_ols"]
        low, high = value["interval_95"]
        rows.append(
            [
                f"{int(n):,} ({int(n) / 1800:.1f} h)",
                f"{row['misalignment']:.5f} ± {row['standard_error']:.5f}",
                f"{row['closed_form']:.5f}",
                f"{value['simulated']:,.0f} ({low:,.0f} to {high:,.0f})",
                f"{value['closed_form']:,.0f}",
            ]
        )
    head = (
        "recordings",
        "E‖K̂β‖², simulated",
        "closed form",
        "value, simulated",
        "closed form",
    )
    largest = max(abs(row["in_standard_errors"]) for row in found["by_n_brain"].values())
    return table(head, rows) + (
        f"\n\n{found['draws']} draws for each number of recordings, "
        f"{found['sweep_with_compilation']['wall_s']:.0f} s in "
        f"all, run once, with compilation, {found['peak_memory_gb']:.1f} GB. The closed form "
        f"lies within {largest:.1f} standard errors of every mean. "
        f"The products of matrices in a draw, {draw['gflop_of_a_draw']:.0f} GFLOP, would take "
        f"{draw['fraction_of_arithmetic']:.0%} "
        "of its time at the machine's best rate."
    )


def estimators() -> str:
    found = results("estimators")
    rows = []
    for what, case in found["comparisons"].items():
        ours = case["jaxbrain"]["median_s"]
        peers = [name for name in case["largest_relative_difference"]]
        rows.append(
            [
                what,
                timing(case["jaxbrain"]),
                "<br>".join(
                    f"{name} {timing(case[name])}: × {times(case[name]['median_s'] / ours)}"
                    for name in peers
                ),
                f"{max(case['largest_relative_difference'].values()):.0e}",
                f"{case['fraction_of_arithmetic']:.0%}",
            ]
        )
    head = ("what", "jaxbrain", "peers", "largest difference", "of the arithmetic")
    exponents = found["growth"]["exponents"]
    grown = ", ".join(f"{name} {exponent:.2f}" for name, exponent in exponents.items())
    return table(head, rows) + (
        "\n\nExponents of the time in the number of inputs, with four rows and (`encode`) one "
        "channel for each, from "
        f"{found['growth']['inputs'][-3]} to {found['growth']['inputs'][-1]:,}: {grown}.\n\n"
        "![Time of the estimators as inputs grow](plots/estimators.png)"
    )


def tuning() -> str:
    closed = next(iter(results("tuning_closed_form").values()))
    what, data = next(iter(results("tuning_data").items()))
    rows = [
        [
            "1 000 penalties on the closed form, fMRI problem, starts six decades away",
            timing(closed),
            duration(closed["first_s"]),
            f"largest error {closed['largest relative error']:.0e}",
        ]
    ]
    for name, time in data.items():
        if isinstance(time, dict):
            rows.append([f"{what}: {name}", timing(time), duration(time["first_s"]), ""])
    apart = data["largest distance to scikit-learn's choice, in steps of its grid"]
    near = data["median distance to himalaya's choice, in steps of its grid"]
    return table(("what", "time", "first call", "accuracy"), rows) + (
        f"\n\nOur choices by leave-one-out are within {apart:.2f} steps of scikit-learn's grid "
        "(the nearest point "
        f"of a grid is up to half a step off); by five folds in the median {near:.2f} steps from "
        "himalaya's, whose folds are others. One Gram matrix and "
        f"its eigenvectors are {data['fraction_of_limit']:.0%} of the time of leave-one-out."
    )


def compile_times() -> str:
    found = results("compile_times")["cases"]
    rows = [
        [
            name,
            f"{duration(case['first_call_s'])} ({duration(case['first_call_min_s'])} – "
            f"{duration(case['first_call_max_s'])})",
            duration(case["trace_s"]),
            duration(case["compile_s"]),
            f"{case['programs']:.0f}",
            duration(case["second_call_s"]),
            f"{case['programs_of_the_second_call']:.0f}",
        ]
        for name, case in found.items()
    ]
    head = (
        "what",
        "first call",
        "tracing",
        "XLA",
        "programs",
        "second call, other numbers",
        "programs anew",
    )
    return table(head, rows)


# How the names of a command's first and later starts end in the results.
COLD, LATER = "_from_a_cold_start", "_from_the_second_start_on"


def command_line() -> str:
    found = results("command_line")
    names = {
        "import_beyond_jax_equinox_optax": "`import jaxbrain` beyond jax, equinox, optax",
        "import_of_jax_alone": "`import jax`, nothing else",
        "version": "`jaxbrain --version`",
        "info": "`jaxbrain info`",
        "worth_from_a_cold_start": "`jaxbrain worth`",
        "plan_three_modalities": "`jaxbrain plan`, three modalities",
        "fit_300_repeats_rank_given": f"`jaxbrain fit`, 300 repeats on {found['fit_data']} "
        "(150 × 2268)",
    }
    later = {key: found.get(f"{key.removesuffix(COLD)}{LATER}") for key in names}
    # Results from before programs were kept have no later starts: they say nothing of them.
    known = any(later.values())
    rows = []
    for key, name in names.items():
        if key in found:
            memory = found[key].get("peak_memory_gb")
            row = [name, timing(found[key]), "" if memory is None else f"{memory:.2f} GB"]
            again = later[key]
            rows.append(row + [timing(again) if again else ""] * known)
    head = ["what, from a cold start", "wall time", "memory"] + ["from the second start on"] * known
    return table(head, rows)


def reproduction() -> str:
    found = results("reproduce")
    rows = [
        [
            name,
            duration(found[scale]["wall_s"]),
            duration(found[scale]["cpu_s"]),
            f"{found[scale]['peak_memory_gb']:.1f} GB",
        ]
        for scale, name in (
            ("full", "full, with simulations of the fMRI study"),
            ("quick", "`--quick`"),
        )
    ]
    return table(("scale", "wall time", "processor time", "memory"), rows) + (
        f"\n\nThe paper's simulations took some {found['cpu_hours_of_the_paper']:,} CPU hours, "
        "at small scale alone."
    )


def coverage() -> str:
    found = results("coverage")
    shares = ("value", "best_penalty", "saved", "n_brain")
    cells = {(cell["plans"], cell["seeds"], cell["trials"]): cell for cell in found["cells"]}
    rows = [
        [
            plans,
            str(seeds),
            *(
                ", ".join(
                    f"{100 * cell[name]:.1f} %"
                    for (*place, _), cell in cells.items()
                    if place == [plans, seeds]
                )
                for name in shares
            ),
        ]
        for plans, seeds in dict.fromkeys(key[:2] for key in cells)
    ]
    trials = " and ".join(str(number) for number in dict.fromkeys(key[2] for key in cells))
    head = ("plans", "seeds", "value", "at the best penalty", "share saved", "best n_brain")
    return table(head, rows) + (
        f"\n\nFor {trials} trials a seed, {found['sweeps']} sweeps a cell: the standard error of "
        "a share is about 1 point."
    )
