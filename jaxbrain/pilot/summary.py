"""The mean of a quantity over repeats, and how sure it is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._checks import as_array, check_known, check_shape
from .._typing import AnyArray


class Summary(NamedTuple):
    """Mean of a quantity over the repeats, with its 95 % interval.

    **Fields**

    - `mean`: over the repeats that are finite, in the unit of the quantity.
    - `low`, `high`: ends of its 95 % interval. Mean and ends are NaN with fewer than two such
      repeats.
    - `failed`: number of repeats that are not finite. They are left out.
    """

    mean: float
    low: float
    high: float
    failed: int


def summarise(per_repeat: AnyArray) -> Summary:
    """Take the mean over repeats, and a 95 % interval for it.

    The interval is about the average over random splits of these rows. Splits share rows. So it
    says how well the repeats settle the comparison on this data set, not how it would fall out on
    another.

    >>> import numpy as np
    >>> from jaxbrain.pilot import summarise
    >>> found = summarise(np.array([1.0, 2.0, 3.0, np.nan]))
    >>> found.mean, round(found.high, 3), found.failed
    (2.0, 4.484, 1)

    **Arguments**

    - `per_repeat`: an error, or a difference of two, shape (repeats,). Repeats that are NaN or
      infinite are left out and counted.

    **Returns**

    A `Summary`, in the unit of `per_repeat`. Mean and interval are NaN with fewer than two finite
    repeats.

    **Raises**

    `ValueError` where these are not numbers along one axis.

    **Source**

    Student's interval for a mean.
    """
    check_known(per_repeat=per_repeat)
    check_shape("per_repeat", per_repeat, ("repeats",), "one number for each repeat")
    if isinstance(per_repeat, np.ma.MaskedArray):
        # What is masked has failed, too.
        per_repeat = np.ma.filled(per_repeat.astype(float), np.nan)
    elif getattr(getattr(per_repeat, "dtype", None), "kind", None) == "b":
        # The mean is then the share of repeats for which it is true.
        per_repeat = np.asarray(per_repeat, float)
    values = np.asarray(as_array("per_repeat", per_repeat), float)
    kept = values[np.isfinite(values)]
    failed = len(values) - len(kept)
    if len(kept) < 2:
        return Summary(float("nan"), float("nan"), float("nan"), failed)
    # Of scipy.stats, which takes half a second to import, this is the quantile of Student's t.
    from scipy.special import stdtrit

    half = stdtrit(len(kept) - 1, 0.975) * np.std(kept, ddof=1) / np.sqrt(len(kept))
    mean = np.mean(kept)
    return Summary(float(mean), float(mean - half), float(mean + half), failed)
