"""The task stage on drawn subspaces and drawn traces, once all that can be is averaged.

It repeats algebra of `theory.task_stage` on purpose: written anew, one checks the other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..models.shift import BlockShift
from .brain_stage import SubspaceDraw
from .random_matrices import TraceDraws


class DrawnMoments(NamedTuple):
    """Of a learned subspace, averaged over how it is turned outside the brain-sensitive one."""

    misalignment: Any
    """‖K̂β‖²."""
    inside: Any
    """tr P̂Σ."""
    both: Any
    """The product of the two."""
    missed: Any
    """βᵀK̂ΣK̂β."""
    total: Any
    """tr Σ."""


def moments_of_draw(
    draw: SubspaceDraw, misaligned_power, k: int, q: int, shift: BlockShift | None
) -> DrawnMoments:
    """Averages over the direction v of Kβ, which is uniform outside; of each draw on its own.

    **Source.** docs/theory.md, "Simulation".
    """
    m = misaligned_power
    inner, inner2, lost, lost2 = draw.task, draw.task_squared, draw.lost, draw.lost_squared
    held = lost / q  # vᵀP̂v
    misalignment = inner + m * (1 - held)
    if shift is None:
        return DrawnMoments(
            misalignment, k + 0 * lost, k * misalignment, misalignment, k + q + 0 * lost
        )
    a_sensitive, a_missed, a_rest = shift.sensitive, shift.missed, shift.insensitive
    held2 = (lost**2 + 2 * lost2) / (float(q) * (q + 2))  # (vᵀP̂v)²
    without = a_sensitive * (k - lost) + a_rest * lost
    inside = without + (a_missed - a_rest) * held
    both = (inner + m) * inside - m * (without * held + (a_missed - a_rest) * held2)
    turned = (lost - lost2) / q  # vᵀK̂PK̂v
    missed = a_sensitive * (inner2 + m * turned)
    missed = missed + a_rest * (inner - inner2 + m * (1 - held - turned))
    missed = missed + (a_missed - a_rest) * ((inner - inner2) / q + m * (1 - 2 * held + held2))
    total = k * a_sensitive + a_missed + (q - 1) * a_rest
    return DrawnMoments(misalignment, inside, both, missed, total + 0 * lost)


def risk_from_moments(moments: DrawnMoments, traces: TraceDraws, noise, k: int, q: int, n) -> Any:
    """E (β̂ − β)ᵀΣ(β̂ − β), given n labels: linear in the moments, and linear in the traces.

    Hence means of both give the mean of the risk, if they are independent. k = 0 is ridge
    regression.

    **Source.** docs/theory.md, eq. 18.
    """
    variance, kept = noise * traces.noise, traces.kept / q
    if q == 1:
        along, across = traces.kept, 0 * traces.kept
    else:
        pairs = float(q) * (q + 2)
        along = (traces.kept_squared + 2 * traces.kept) / pairs
        across = (q * traces.kept - traces.kept_squared) / (pairs * (q - 1))
        # c²Gββ'G has mean across ‖β‖² + (along − across) ββ'.
        along = along - across
    risk = variance / q * (moments.total - moments.inside) + along * moments.missed
    risk = risk + across * (moments.misalignment * moments.total - moments.both)
    if k:
        risk = risk + ((noise + variance) * moments.inside + kept * moments.both) / (n - k - 1)
    return risk
