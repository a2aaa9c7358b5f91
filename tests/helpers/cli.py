"""Commands as users give them, and the files that they hand over."""

import numpy as np
import pytest

from jaxbrain.cli import main

NOISY = """
n_brain = 60
n_task = 50
task_snr = 1
misalignment = 0.2
[problem]
input_dim = 40
latent_dim = 4
recording_dim = 20
latent_noise = 0.5
recording_noise = 16.0
gain = 3.0
"""


def run(capsys, *arguments):
    main(list(arguments))
    return capsys.readouterr().out


def refused(capsys, *arguments):
    """What is said on the error stream, after checking status 2 and silence elsewhere."""
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    printed = capsys.readouterr()
    assert caught.value.code == 2
    assert printed.out == ""
    return printed.err


def small_file(tmp_path, **changes):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(120, 8))
    recordings = inputs[:, :2] @ rng.normal(size=(2, 10)) + rng.normal(size=(120, 10))
    targets = inputs[:, 0] + rng.normal(size=120)
    arrays = {"inputs": inputs, "recordings": recordings, "targets": targets} | changes
    np.savez(tmp_path / "study.npz", **arrays)
    return str(tmp_path / "study.npz")
