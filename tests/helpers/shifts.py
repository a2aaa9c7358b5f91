"""Shifts of the test inputs, what is asked under them, and the settings that are simulated."""

import numpy as np

import jaxbrain as jb
from tests.helpers.pipeline import Setting

SETTINGS = [
    # Labels below, near and above the number of inputs; few channels and many; one latent.
    Setting(20, 3, 12, 60, 30, 0.5, 0.3, 1.0, 1.0),
    Setting(20, 3, 12, 200, 60, 0.1, 0.0, 2.0, 0.3),
    Setting(24, 4, 16, 100, 30, 0.3, "correlated", 1.0, 1.0),
    Setting(24, 4, 16, 240, 16, 0.6, 0.3, 0.5, 2.0),
    Setting(20, 3, 12, 100, 25, 0.4, 0.2, 0.3, 0.5),
    Setting(30, 1, 5, 300, 70, 0.7, 0.4, 1.0, 0.2),
    # Recordings next to the number of inputs.
    Setting(60, 6, 24, 84, 40, 0.2, 0.3, 1.0, 1.0),
]

# Variance in the sensitive, the missed and the other directions.
PARTS = [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)]

MIXTURES = [(0.0, 1.0, 1.0), (0.2, 6.0, 0.5), (3.0, 0.5, 1.0)]

QUANTITIES = {
    "risk": lambda p, nb, nt, **kw: jb.risk(p, nb, nt, **kw),
    "risk at a penalty": lambda p, nb, nt, **kw: jb.risk(p, nb, nt, 0.3, **kw),
    "hard constraint": lambda p, nb, nt, **kw: jb.risk(p, nb, nt, np.inf, **kw),
    "optimal_penalty": lambda p, nb, nt, **kw: jb.optimal_penalty(p, nb, nt, **kw),
    "value": lambda p, nb, nt, **kw: jb.value(p, nb, nt, baseline="ols", **kw),
    "value at a penalty": lambda p, nb, nt, **kw: jb.value(p, nb, nt, 0.3, baseline="ols", **kw),
    "exchange_rate": lambda p, nb, nt, **kw: jb.exchange_rate(p, nb, nt, baseline="ols", **kw),
    "savings": lambda p, nb, nt, **kw: jb.savings(p, nb, nt, baseline="ols", **kw),
}
