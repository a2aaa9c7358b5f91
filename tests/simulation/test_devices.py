"""Many devices, many processes: the same numbers."""

import json
import os
import socket
import subprocess
import sys

import jax
import numpy as np

import jaxbrain as jb

PROGRAM = """
import json, sys
import jax
jax.config.update("jax_enable_x64", True)
process, count, port = (int(word) for word in sys.argv[1:])
if count > 1:
    jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=count, process_id=process)
import jaxbrain as jb
mesh = jax.make_mesh((len(jax.devices()),), ("trials",), devices=jax.devices())
model = jb.presets.small(task_snr=1.0)
found = []
for method in ("reduced", "data"):
    sweep = jb.sweep(model, [100, 300], [20, 50], [0.5, 5.0], trials=5, seeds=2, key=jax.random.key(4),
                     method=method, n_task_only=[80], mesh=mesh)
    found.append(sweep.risk.values.ravel().tolist() + sweep.misalignment.values.ravel().tolist())
print(json.dumps({"devices": sweep.attrs["devices"], "numbers": found}))
"""


def start(process, count, devices, port=0):
    environment = os.environ | {
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "JAX_PLATFORMS": "cpu",
    }
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(process), str(count), str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def answer(process):
    try:
        out, problems = process.communicate(timeout=900)
    finally:
        process.kill()
    assert process.returncode == 0, problems
    return json.loads(out.strip().splitlines()[-1])


def alone():
    model, found = jb.presets.small(task_snr=1.0), []
    for method in ("reduced", "data"):
        sweep = jb.sweep(
            model, [100, 300], [20, 50], [0.5, 5.0], trials=5, seeds=2, key=jax.random.key(4),
            method=method, n_task_only=[80],
        )  # fmt: skip
        found.append(np.concatenate([sweep.risk.values.ravel(), sweep.misalignment.values.ravel()]))
    return found


def test_eight_devices_give_the_numbers_of_one():
    found = answer(start(0, 1, 8))
    assert found["devices"] == 8
    for shared, single in zip(found["numbers"], alone(), strict=True):
        np.testing.assert_allclose(shared, single, rtol=1e-9)


def test_two_processes_give_the_numbers_of_one():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes = [start(number, 2, 1, port) for number in range(2)]
    for found in map(answer, processes):
        assert found["devices"] == 2
        for shared, single in zip(found["numbers"], alone(), strict=True):
            np.testing.assert_allclose(shared, single, rtol=1e-9)
