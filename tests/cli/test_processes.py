"""`--distributed`: a process speaks only for itself, and tells in one line that another one died.

What stands in for the command, or for another process, is small: joining two takes some seconds.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import jax
import pytest

from jaxbrain.cli import main, processes
from tests.helpers.cli import as_program

STARTED = "import os, signal, sys, time;"
ENDED = "jaxbrain: --distributed: another process of this job has ended: start the job again"


@pytest.fixture
def supervise(capfd, monkeypatch):
    """Run this program as the command; gives its exit status, stdout and stderr."""

    def run(program, *arguments):
        monkeypatch.setattr(processes, "_PROGRAM", STARTED + program)
        status = processes.supervised([*arguments])
        return status, *capfd.readouterr()

    return run


@pytest.mark.parametrize("status", [0, 1, 2, 130])
def test_the_status_and_the_answer_are_those_of_the_command(supervise, status):
    program = "print(sys.argv[1:]); print('why', file=sys.stderr); " + f"sys.exit({status})"
    assert supervise(program, "simulate", "-x") == (status, "['simulate', '-x']\n", "why\n")


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGKILL, signal.SIGSEGV])
def test_a_command_that_was_aborted_is_told_in_one_line(supervise, number):
    found = supervise(f"os.kill(os.getpid(), {int(number)})")
    assert found == (2, "", f"{ENDED} ({number.name})\n")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_handed_on(supervise, tmp_path, number, status):
    ready = tmp_path / "ready"
    program = (
        f"signal.signal({int(number)}, lambda *_: sys.exit({status}));"
        f"open({str(ready)!r}, 'w').close(); time.sleep(60)"
    )

    def tell():
        while not ready.exists():
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    # Tests in the background of a shell inherit that SIGINT is ignored, which commands respect.
    inherited = signal.signal(number, signal.default_int_handler)
    teller = threading.Thread(target=tell)
    teller.start()
    try:
        assert supervise(program) == (status, "", "")
    finally:
        signal.signal(number, inherited)
        teller.join()


def test_stdout_holds_the_answer_alone():
    """Whatever libraries write below Python is put aside; what Python says of faults is not."""
    program = (
        "from jaxbrain.cli.processes import speaking_alone; import os, sys\n"
        "def noise():\n"
        "    os.write(1, b'gloo'); os.write(2, b'E0000 coordination'); print('chatter')\n"
        "with speaking_alone() as put_back:\n"
        "    noise()\n"
        "    print('told', file=sys.stderr)\n"
        "    with put_back():\n"
        "        print('answer')\n"
        "    noise()\n"
    )
    done = as_program(program=program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "answer\n", "told\n")


def test_an_error_from_a_dead_process_ends_with_one_line(capsys, monkeypatch):
    class Exits(BaseException):
        pass

    def leave(status):
        raise Exits(status)

    def lost(*arguments, **options):
        raise jax.errors.JaxRuntimeError("UNAVAILABLE: Connection closed by peer [127.0.0.1]:4")

    monkeypatch.setattr("jax.distributed.initialize", lambda **_: None)
    monkeypatch.setattr("jaxbrain.simulation.sweep", lost)
    monkeypatch.setattr(os, "_exit", leave)
    with pytest.raises(Exits, match="2"):
        main(["simulate", "--distributed", "--n-brain", "100", "--n-task", "50"])
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"{ENDED}\n")


@pytest.mark.study
@pytest.mark.parametrize("dies", [0, 1])
def test_the_survivor_of_a_dead_process_ends_within_a_minute(dies):
    """Two processes of Open MPI, as JAX detects them; the coordinator is the first."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = "from jaxbrain.cli import main; main()"
    grid = ("--n-brain", "100", "--n-task", "50", "--seeds", "2000", "--trials", "100000")
    jobs = []
    for rank in (0, 1):
        launched = {
            "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://127.0.0.1:34911",
            "OMPI_COMM_WORLD_SIZE": "2",
            "OMPI_COMM_WORLD_RANK": str(rank),
            "OMPI_COMM_WORLD_LOCAL_RANK": str(rank),
            "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}",
            "JAX_PLATFORMS": "cpu",
        }
        jobs.append(
            subprocess.Popen(
                [sys.executable, "-c", program, "simulate", "--distributed", *grid],
                env=os.environ | launched,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )
    try:
        time.sleep(60)
        assert [job.poll() for job in jobs] == [None, None]
        os.killpg(jobs[dies].pid, signal.SIGKILL)
        out, said = jobs[1 - dies].communicate(timeout=60)
    finally:
        for job in jobs:
            if job.poll() is None:
                os.killpg(job.pid, signal.SIGKILL)
            # Closes the pipes, too.
            job.communicate()
    assert (jobs[1 - dies].returncode, out) == (2, "")
    assert [line for line in said.splitlines() if line.startswith(ENDED)] == said.splitlines()
    assert len(said.splitlines()) == 1
