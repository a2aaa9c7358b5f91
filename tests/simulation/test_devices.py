"""Many devices, many processes: the same numbers."""

import json
import os
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest

import jaxbrain as jb

PROGRAM = """
import json, sys
import jax
jax.config.update("jax_enable_x64", True)
process, count, port = (int(word) for word in sys.argv[1:4])
if count > 1:
    jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=count, process_id=process)
import jaxbrain as jb
mesh = jax.make_mesh((len(jax.devices()),), ("trials",), devices=jax.devices())
model = jb.Problem.isotropic(16, 3, 1.0, 0.2, 0.5)
found = []
for method in sys.argv[4:]:
    ridge = {"method": "reduced", "encoding_penalty": 0.1}
    options = {"ridge": ridge}.get(method, {"method": method})
    sweep = jb.sweep(model, [40], [30], [0.5, 5.0], trials=5, seeds=2, key=jax.random.key(4),
                     n_task_only=[30], mesh=mesh, **options)
    found.append(sweep.risk.values.ravel().tolist() + sweep.misalignment.values.ravel().tolist())
print(json.dumps({"devices": sweep.attrs["devices"], "numbers": found}))
"""
METHODS = ("reduced", "data")


def start(process, count, devices, methods, port=0):
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    environment = os.environ | {
        "XLA_FLAGS": flags,
        "JAX_PLATFORMS": "cpu",
    }
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(process), str(count), str(port), *methods],
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


def alone(methods):
    model, found = jb.Problem.isotropic(16, 3, 1.0, 0.2, 0.5), []
    for method in methods:
        ridge = {"method": "reduced", "encoding_penalty": 0.1}
        sweep = jb.sweep(
            model, [40], [30], [0.5, 5.0], trials=5, seeds=2, key=jax.random.key(4),
            n_task_only=[30], **{"ridge": ridge}.get(method, {"method": method}),
        )  # fmt: skip
        found.append(np.concatenate([sweep.risk.values.ravel(), sweep.misalignment.values.ravel()]))
    return found


@pytest.mark.parametrize("methods", [METHODS, pytest.param(("ridge",), marks=pytest.mark.study)])
def test_eight_devices_give_the_numbers_of_one(methods):
    found = answer(start(0, 1, 8, methods))
    assert found["devices"] == 8
    for shared, single in zip(found["numbers"], alone(methods), strict=True):
        np.testing.assert_allclose(shared, single, rtol=1e-9)


@pytest.mark.parametrize("method", ["reduced", pytest.param("data", marks=pytest.mark.study)])
def test_two_processes_give_the_numbers_of_one(method):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes = [start(number, 2, 1, [method], port) for number in range(2)]
    for found in map(answer, processes):
        assert found["devices"] == 2
        for shared, single in zip(found["numbers"], alone([method]), strict=True):
            np.testing.assert_allclose(shared, single, rtol=1e-9)
