"""One check of derivatives: forward, reverse, by differences and by hand, jitted and mapped."""

import jax
import numpy as np
from jax.flatten_util import ravel_pytree


def central_difference(function, point, direction, step):
    return (function(point + step * direction) - function(point - step * direction)) / (2 * step)


def check_derivatives(
    function, points, *, digits=1e-14, tolerance=1e-6, forward_tolerance=1e-9, by_hand=None
):
    """Compare all derivatives of `function(*point)` at each of the points, a list of tuples.

    - `digits`: relative rounding of the function, which is the most that differences may lose.
    - `tolerance`: relative error of differences besides; `forward_tolerance`: of forward against
      reverse.
    - `by_hand`: a function of the point that returns the Jacobian, NaN where it is not known.

    Three programs in all, whatever the number of points, so these must agree in shapes. To map a
    reverse mode over all outputs would take half as long again to compile: it runs once for each.
    """
    _, restore = ravel_pytree(points[0])

    def flat_function(flat):
        return ravel_pytree(function(*restore(flat)))[0]

    alone = jax.jit(flat_function)
    mapped = jax.jit(jax.vmap(lambda flat, step: jax.jvp(flat_function, (flat,), (step,))))
    pulled_back = jax.jit(lambda flat, weights: jax.vjp(flat_function, flat)[1](weights)[0])
    for point in points:
        flat = np.asarray(ravel_pytree(point)[0])
        step = 1e-5 * np.maximum(np.abs(flat), 0.01)
        moves = np.diag(step)
        where = np.concatenate([flat + moves, flat - moves, np.tile(flat, (len(flat), 1))])
        values, slopes = map(np.asarray, mapped(where, np.tile(np.eye(len(flat)), (3, 1))))
        (above, below, (here, *_)), forward = np.split(values, 3), slopes[2 * len(flat) :].T
        value = np.asarray(alone(flat))
        assert np.all(np.isfinite(forward)), point
        np.testing.assert_allclose(here, value, rtol=1e3 * digits, err_msg=str(point))
        scale = 1e-12 + 100 * digits * np.abs(value)[:, None]
        reverse = np.stack([pulled_back(flat, row) for row in np.eye(len(value))])
        off = np.abs(reverse - forward)
        assert np.all(off <= forward_tolerance * np.abs(forward) + scale), (point, off.max())
        differences = ((above - below) / (2 * step[:, None])).T
        lost = digits * np.maximum(np.abs(above), np.abs(below)).T / step
        off = np.abs(differences - forward)
        assert np.all(off <= tolerance * np.abs(forward) + lost), (point, off.max())
        if by_hand is not None:
            expected = np.asarray(by_hand(*point))
            known = ~np.isnan(expected)
            assert known.any()
            np.testing.assert_allclose(forward[known], expected[known], rtol=1e-10, atol=1e-13)
