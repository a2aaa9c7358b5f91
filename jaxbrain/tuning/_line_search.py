"""Line search of the zoom kind, one evaluation at a time: the caller evaluates, at one place.

optax's own search holds the objective at four places, and each of them is compiled. What is kept
between evaluations are single numbers, as few as will do: the compiler spends a kernel on each.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

_DECREASE, _CURVATURE, _ROUNDING = 1e-4, 0.9, 1e-6
_SHORTEST, _MOST_TRIES = 1e-5, 30


class Point(NamedTuple):
    """A point on a line. Two numbers: over slices of one array the compiler would take minutes."""

    step: Array
    value: Array


class Line(NamedTuple):
    """What is known along one direction."""

    direction: Float[Array, " n"]
    slope: Array
    """At step 0, and `low_slope` at `low`."""
    low: Point
    low_slope: Array
    high: Point
    reference: Point
    """A third point for the cubic."""
    bracketed: Array
    """Whether a minimum lies between `low` and `high`; before, `low` is the last point."""
    tries: Array
    step: Array
    """Where to evaluate next."""
    safe: Point
    """The best point that decreases the objective enough; step 0 where there is none."""
    safe_gradient: Float[Array, " n"]


class Judgement(NamedTuple):
    """What one evaluation decides: whether the search is over, and at which point it then ends."""

    over: Array
    end: Point
    gradient: Float[Array, " n"]
    line: Line


def begin(direction: Array, value: Array, gradient: Array) -> Line:
    """A search from a point where value and gradient are known."""
    start, slope = Point(jnp.zeros_like(value), value), jnp.vdot(gradient, direction)
    return Line(
        direction=direction,
        slope=slope,
        low=start,
        low_slope=slope,
        high=start,
        reference=start,
        bracketed=jnp.asarray(False),
        tries=jnp.asarray(0),
        step=jnp.ones_like(value),
        safe=start,
        safe_gradient=gradient,
    )


def judge(line: Line, first: Array, value: Array, gradient: Array) -> Judgement:
    """Take in one evaluation, given the value at step 0.

    Steps end where strong Wolfe conditions hold, up to rounding of the value.
    """
    new, slope = Point(line.step, value), jnp.vdot(gradient, line.direction)
    plain = value - first - _DECREASE * line.step * line.slope
    # Close to a minimum values are flat to rounding: there the slope decides (Hager and Zhang).
    flat = jnp.maximum(
        slope - (2 * _DECREASE - 1) * line.slope, value - first - _ROUNDING * jnp.abs(first)
    )
    excess = jnp.minimum(flat, plain)
    enough = excess <= 0
    outside = jnp.isnan(excess) | (excess == jnp.inf)
    good = enough & (jnp.abs(slope) <= _CURVATURE * jnp.abs(line.slope))

    # Within a bracket the new point replaces one of its ends; without, it may close one with the
    # last point.
    inside = line.bracketed
    worse = ~enough | ((value >= line.low.value) & (inside | (line.tries > 0)))
    rising = jnp.where(inside, slope * (line.high.step - line.low.step) >= 0, slope >= 0)
    turned = rising & ~worse
    bracketed = inside | worse | turned | good
    low = _choose(worse, line.low, new)
    high = _choose(worse, new, _choose(turned | ~inside, line.low, line.high))
    reference = _choose(inside, _choose(worse | turned, line.high, line.low), low)

    safer = enough & (~inside | (value < line.safe.value))
    safe = _choose(safer, new, line.safe)
    safe_gradient = jnp.where(safer, gradient, line.safe_gradient)
    short = inside & (jnp.abs(line.high.step - line.low.step) <= _SHORTEST) & (safe.step > 0)
    failed = ((line.tries + 1 >= _MOST_TRIES) | short) & ~good
    back = failed & ((safe.step > 0) | outside)
    low_slope = jnp.where(worse, line.low_slope, slope)
    # Ever further until a minimum is bracketed.
    within = _within(low, low_slope, high, reference)
    following = Line(
        direction=line.direction,
        slope=line.slope,
        low=low,
        low_slope=low_slope,
        high=high,
        reference=reference,
        bracketed=bracketed,
        tries=line.tries + 1,
        step=jnp.where(bracketed, within, 2 * line.step),
        safe=safe,
        safe_gradient=safe_gradient,
    )
    return Judgement(
        good | failed,
        _choose(back, safe, new),
        jnp.where(back, safe_gradient, gradient),
        following,
    )


def _choose(condition: Array, yes: Point, no: Point) -> Point:
    return Point(*(jnp.where(condition, *pair) for pair in zip(yes, no, strict=True)))


def _within(low: Point, slope: Array, high: Point, reference: Point) -> Array:
    """The minimum of a cubic, else of a parabola, else the middle; never too close to an end."""
    (a, at_a), (b, at_b), (c, at_c) = low, high, reference
    to_b, to_c = b - a, c - a
    rise_b, rise_c = at_b - at_a - slope * to_b, at_c - at_a - slope * to_c
    scale = (to_b * to_c) ** 2 * (to_b - to_c)
    third = (to_c**2 * rise_b - to_b**2 * rise_c) / scale
    second = (to_b**3 * rise_c - to_c**3 * rise_b) / scale
    cubic = a + (-second + jnp.sqrt(second**2 - 3 * third * slope)) / (3 * third)
    parabola = a - slope * to_b**2 / (2 * rise_b)
    left, width = jnp.minimum(a, b), jnp.abs(to_b)

    def inside(point: Array, margin: float) -> Array:
        return (point > left + margin * width) & (point < left + (1 - margin) * width)

    return jnp.where(
        inside(cubic, 0.2), cubic, jnp.where(inside(parabola, 0.1), parabola, (a + b) / 2)
    )
