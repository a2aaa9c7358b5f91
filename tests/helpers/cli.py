"""Commands as users give them, and the files that they hand over.

Studies have the sizes of the small preset wherever they can: then they share its compiled programs.
"""

import os
import subprocess
import sys

import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain.cli import main

LIKE_THE_PAPER = ("--estimator", "befs", "--baseline", "ols")
SIZES = """
input_dim = 64
latent_dim = 6
recording_dim = 150
"""
STUDY = f"""
n_brain = 100
n_task = 50
task_snr = 1
misalignment = 0.2
samples_per_hour = 20
[problem]{SIZES}
latent_noise = 0.5
recording_noise = 4.0
gain = 60.0
"""
# Half as many latents as inputs in noisy channels, where the closed form is known to be off.
NOISY = STUDY.replace("input_dim = 64", "input_dim = 12").replace("60.0", "10.0")
# Inputs whose variance falls, and fewer recordings than a stage without a penalty would like.
REAL = """
n_brain = 60
n_task = 40
task_snr = 1.0
misalignment = 0.2
encoding_penalty = 0.1
[problem]
input_dim = 40
exponent = 1.0
latent_dim = 3
encoding_noise = 0.5
"""
TWO_MODALITIES = """
budget = 4_000
currency = "EUR"
cost_task = 2
fixed_cost_task = 100
task_snr = 0.5
input_dim = 64

[modality.cheap]
cost_hour = 10
samples_per_hour = 100
fixed_cost_brain = 50
misalignment = 0.4
latent_dim = 6
recording_dim = 150
latent_noise = [0.5, 0.6, 0.7, 0.5, 0.6, 0.7]
recording_noise = 4.0
gain = 50.0

[modality.dear]
cost_brain = 3.0
misalignment = 0.1
latent_dim = 6
recording_dim = 150
latent_noise = 0.2
recording_noise = 1.0
gain = 60
"""


def described_problem(misalignment=0.1, **changes):
    """A problem of the small preset's sizes, put together by hand."""
    numbers = {"latent_noise": 0.5, "recording_noise": 4.0, "gain": 60.0, "task_noise": 10.0}
    return jb.Problem(
        input_dim=64,
        latent_dim=6,
        recording_dim=150,
        aligned_power=[(1 - misalignment) / 6] * 6,
        misaligned_power=misalignment,
        **(numbers | changes),
    )


def written(folder, text, name="study.toml"):
    """A file with this text."""
    config = folder / name
    config.write_text(text)
    return str(config)


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


def as_program(*arguments, program="from jaxbrain.cli import main; main()", **options):
    """Run a command, or another program, in a process of its own."""
    settings = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True} | options
    settings["env"] = {**os.environ, **settings.get("env", {})}
    return subprocess.run([sys.executable, "-c", program, *arguments], check=False, **settings)


def small_file(tmp_path, **changes):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(120, 8))
    recordings = inputs[:, :2] @ rng.normal(size=(2, 10)) + rng.normal(size=(120, 10))
    targets = inputs[:, 0] + rng.normal(size=120)
    arrays = {"inputs": inputs, "recordings": recordings, "targets": targets} | changes
    np.savez(tmp_path / "study.npz", **arrays)
    return str(tmp_path / "study.npz")
