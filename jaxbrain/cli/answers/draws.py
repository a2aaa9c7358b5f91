"""How many draws of what recordings teach fit into a wait, where inputs are not white."""

from __future__ import annotations

from ...models import Problem

_MOST = 64


def draws_within(seconds: float, problem: Problem) -> int:
    """Roughly, by sizes alone: a number depends on the study, not on how fast the machine is."""
    d, k = problem.input_dim, problem.latent_dim
    spare = 0 if problem.recording_dim is None else min(d, problem.recording_dim - k)
    # Factors of inputs; leading directions among channels; sums over the spectrum, of latents.
    each = 2e-9 * d**3 + 1e-8 * d * spare**2 + 5e-8 * d * k**2 + 5e-3
    return int(min(_MOST, seconds / each))
