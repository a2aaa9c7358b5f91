"""Verdicts as a page for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from .registry import RESULTS
from .result import CONDITIONAL, CONFIRMED, PAPER, REFUTED, Claim, Scale

_HEADER = """\
# Claims

Made by `jaxbrain reproduce`; do not edit by hand.

Each claim with the function that computes it, the number that was measured, and a verdict. The
number is computed, and the verdict decided, from the tables that are stored beside the figures;
intervals are 95 % intervals over replicate seeds, by Student's t. *Confirmed with conditions*: it
holds, but not everywhere that it is said of; the condition says where. Claims of the paper are
those of Lewis, Wang, Schwab, Pitkow, "How Much is Brain Data Worth for Machine Learning?",
arXiv:2605.09243 (2026), in our words; the others are ours.
"""


def as_markdown(found: Mapping[str, list[Claim]], scale: Scale) -> str:
    """All claims with their verdicts, as Markdown."""
    everything = [claim for claims in found.values() for claim in claims]
    lines = [_HEADER, _summary(everything, scale), ""]
    for name, claims in found.items():
        lines += [f"## {RESULTS[name].title}", ""]
        lines += [
            "| claim | of | function | measured | verdict |",
            "| --- | --- | --- | --- | --- |",
        ]
        for claim in claims:
            verdict = f"**{claim.verdict}**"
            if claim.condition:
                verdict += f": {claim.condition}"
            cells = (
                claim.statement,
                claim.source,
                f"`{claim.function}`",
                claim.measured,
                verdict,
            )
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)


def _summary(claims: list[Claim], scale: Scale) -> str:
    counts = Counter(claim.verdict for claim in claims)
    told = ", ".join(
        f"{counts[verdict]} {verdict}" for verdict in (CONFIRMED, CONDITIONAL, REFUTED)
    )
    of_paper = sum(claim.source == PAPER for claim in claims)
    return (
        f"{len(claims)} claims, {of_paper} of them the paper's: {told}. Scale of the "
        f"simulations: {scale.name}, "
        f"{scale.seeds} seeds of {scale.trials} trials at small scale, {2 * scale.fmri_seeds} "
        "draws at fMRI scale."
    )
