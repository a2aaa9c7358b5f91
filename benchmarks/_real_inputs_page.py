"""The part of docs/accuracy.md on inputs of any covariance, from results/real_inputs.json."""

from typing import Any

import numpy as np

from jaxbrain.theory.accuracy import TILTED, tilt_of_lost_directions

from ._accuracy_page import table
from ._real_inputs_draws import ESTIMATORS, Cell, study_of

TARGET, WORTH = 0.02, 0.2
NAMES = ("BEFS", "two penalties", "banded ridge")


def is_warned(cell: Cell) -> bool:
    """Whether closed forms of BEFS give an AccuracyWarning there."""
    study = study_of(cell)
    tilt = tilt_of_lost_directions(
        study.variances,
        np.sum(study.directions**2, axis=1) / cell.k,
        np.diag(study.gain),
        cell.latent_noise * np.eye(cell.k),
        study.recording_noise**2 * (cell.p - cell.k),
        float(cell.n_brain),
        cell.encoding_penalty,
    )
    return tilt > TILTED


def rows_of(stored: dict) -> list[dict[str, Any]]:
    """Cells with their relative errors, in Monte Carlo errors, too."""
    rows = []
    for row in stored["rows"]:
        one = dict(zip(stored["columns"], row, strict=True))
        cell = Cell(*row[: len(Cell._fields)])
        one["warned"] = is_warned(cell)
        one["off"] = one["risk"] / one["simulated"] - 1
        one["noise"] = one["error"] / one["simulated"]
        rows.append(one)
    return rows


def entry(rows: list[dict[str, Any]]) -> str:
    """Share within the target and two Monte Carlo errors; mean error; the largest beyond them."""
    if not rows:
        return "–"
    within = [abs(row["off"]) <= TARGET + 2 * row["noise"] for row in rows]
    # Of cells by their precision: a bias would be seen here.
    weights = np.array([1 / (row["noise"] + 0.002) ** 2 for row in rows])
    mean = np.sum(weights * [row["off"] for row in rows]) / weights.sum()
    largest = max(max(abs(row["off"]) - 2 * row["noise"], 0.0) for row in rows)
    return f"{100 * np.mean(within):.0f} %, {100 * mean:+.1f} %, {100 * largest:.1f} %"


def by(rows: list[dict[str, Any]], title: str, key: Any) -> list[str]:
    body = []
    for value in sorted({key(row) for row in rows}, key=lambda x: (isinstance(x, str), x)):
        here = [row for row in rows if key(row) == value]
        each = (entry([row for row in here if row["estimator"] == name]) for name in ESTIMATORS)
        body.append([str(value), *each])
    return ["", *table([title, *NAMES], body)]


def worth(rows: list[dict[str, Any]], well: bool) -> str:
    """Errors of the value, where it is more than a fifth of the labels."""
    some = [
        row["value"] / row["simulated_value"] - 1
        for row in rows
        if row["simulated_value"] > WORTH * row["n_task"]
        and (row["n_brain"] >= 10 * row["k"]) == well
    ]
    quantiles = 100 * np.quantile(np.abs(some), [0.5, 0.9])
    return f"median {quantiles[0]:.1f} %, nine in ten below {quantiles[1]:.0f} % ({len(some)} rows)"


def real_inputs(stored: dict) -> list[str]:
    """The lines of the page."""
    rows = rows_of(stored)
    silent = [row for row in rows if not row["warned"]]
    warned = [row for row in rows if row["warned"]]
    unchosen = [row for row in warned if row["estimator"] == "banded_ridge"]
    well = [row for row in silent if row["n_brain"] >= 10 * row["k"]]
    draws = np.median([row["noise"] for row in rows])
    body = [
        [
            *(f"{row[name]}" for name in ("d", "k", "p", "n_brain", "encoding_penalty")),
            f"{row['spectrum']}",
            f"{row['lost']:g}",
            f"{row['n_task']:g}",
            NAMES[ESTIMATORS.index(row["estimator"])],
            f"{100 * row['off']:+.1f} % ± {100 * row['noise']:.1f}",
        ]
        for row in sorted(warned, key=lambda row: 2 * row["noise"] - abs(row["off"]))[:8]
    ]
    heads = ["d", "k", "p", "n_brain", "encoding penalty", "exponent", "ε", "n_task"]
    cells = {tuple(row[name] for name in Cell._fields) for row in rows}
    loud = {tuple(row[name] for name in Cell._fields) for row in warned}
    return [
        "## Inputs of any covariance",
        "",
        f"{len(cells)} studies of 30 and 200 inputs, 0.5 d and 2 d labels, at the penalties that "
        "the closed forms call best, given the",
        "encoding penalty. Recordings are drawn and encoded in plain NumPy; the task stage given "
        "what was learned is (30) of theory.md. The",
        f"Monte Carlo error is {100 * draws:.1f} % in the median. The rest of each study is drawn "
        "at random: latents along strong, weak or all directions,",
        "channels from as many as latents to 40 times as many, misalignment 0.1 or 0.4, task noise "
        "from 0.2 to 5, latent noise from 0.1 to 2.",
        "ε is the share of a direction that channels of noise would take at white inputs, eq. 12. "
        '"one" is a single large eigenvalue.',
        "",
        f"Each entry: share of rows within {100 * TARGET:.0f} % and two Monte Carlo errors, mean "
        "error, and the largest error less two Monte Carlo",
        f"errors. {len(loud)} studies in which BEFS gives an `AccuracyWarning` are left out, and "
        "come below.",
        *by(silent, "exponent of the spectrum", lambda row: row["spectrum"]),
        *by(silent, "n_brain/d", lambda row: round(row["n_brain"] / row["d"], 1)),
        *by(silent, "encoding penalty", lambda row: row["encoding_penalty"]),
        *by(
            silent,
            "n_brain/k",
            lambda row: "10 or more" if row["n_brain"] >= 10 * row["k"] else "2 to 10",
        ),
        *by(silent, "ε", lambda row: row["lost"]),
        "",
        f"From n_brain = 10 k on: {entry(well)} for all three. The value against ridge, where it "
        "is more than a fifth of the labels:",
        f"from n_brain = 10 k on {worth(silent, True)}; below {worth(silent, False)}.",
        "A Monte Carlo error of 1 % in the risk is one of 3 to 5 % in such a value.",
        "",
        "The warning comes where directions are lost among noisy channels while the encoding "
        "penalty filters their noise unevenly, which (38)",
        "leaves out: the mean share lost, times the relative variance of the eigenvalues of Γ, "
        f"above {TILTED}. Banded ridge chooses no directions,",
        f"and is within the target there, too: {entry(unchosen)}. The worst of BEFS:",
        "",
        *table([*heads, "estimator", "error"], body),
        "",
    ]
