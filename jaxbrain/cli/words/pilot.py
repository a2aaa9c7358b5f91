"""What a pilot measured, in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..answers.pilot import PilotAnswer
from .text import aligned

_SAID = {
    "task_snr": "task SNR: predictable variance of a label over that of its noise",
    "misalignment": "misalignment: share of it that no recording can reach",
    "aligned_power": "variance of a label that recordings can reach",
    "misaligned_power": "variance of a label that they cannot",
    "task_noise": "variance of its noise",
    "encoding_noise": "noise of a latent as read out, over its driven variance",
    "latent_noise": "of it the brain's own",
    "gain": "summed squared weight of a latent over the noise of a channel",
    "latent_alignment": "placement of the latents: share of variance as variance to the power",
    "task_alignment": "the same of what they do not show of the task",
}


def as_text(answer: PilotAnswer, about: list[str], out: Path | None) -> str:
    """A table of numbers, with what was done and what to doubt."""
    recorded, labelled = answer.rows
    pooled = f", {answer.targets} targets pooled, each of variance 1" if answer.targets > 1 else ""
    lines = [f"{recorded} rows with recordings, {labelled} with labels{pooled}"]
    lines += about
    rows = [
        (said, f"{number.value:.3g}", f"{number.low:.3g} to {number.high:.3g}")
        for said, number in ((said, answer.numbers[name]) for name, said in _SAID.items())
        if number.value == number.value
    ]
    dims = ", ".join(f"{k} ({share:.0%})" for k, share in answer.latent_dims.items())
    lines += ["", *aligned([("", "median", "95 % interval"), *rows]), "", f"latents: {dims}"]
    lines += [f"note: {note}" for note in answer.notes]
    if out is not None:
        lines += ["", f"Go on with: jaxbrain worth {out}, plan {out}, or report {out}"]
    return "\n".join(lines)


def as_json(answer: PilotAnswer, about: list[str], out: Path | None) -> str:
    """The same for programs."""
    told: dict[str, Any] = {
        "numbers": {
            name: dict(zip(("value", "low", "high"), number, strict=True))
            for name, number in answer.numbers.items()
        },
        "latent_dims": [
            {"latent_dim": k, "share": share} for k, share in answer.latent_dims.items()
        ],
        "n_brain": answer.n_brain,
        "n_task": answer.n_task,
        "targets": answer.targets,
        "draws": answer.draws,
        "what_was_done": about,
        "notes": list(answer.notes),
        "out": None if out is None else str(out),
    }
    return json.dumps(told, indent=2)
