"""Memory is reckoned before it is taken: commands refuse what needs more, and name the option."""

import pytest

from jaxbrain.cli.answers import worth as answers
from jaxbrain.simulation import bytes_of_sweep
from tests.helpers.cli import STUDY, as_program, refused, written

KINDS = ", ".join(str(0.5 + 0.001 * number) for number in range(40))
MANY_KINDS = STUDY.replace("latent_dim = 6", "latent_dim = 40").replace(
    "latent_noise = 0.5", f"latent_noise = [{KINDS}]"
)
LITTLE = ("--max-gigabytes", "1e-6")


@pytest.fixture(autouse=True)
def nothing_is_computed(request, monkeypatch):
    """Whatever would allocate ends the test."""

    def computes(*arguments, **options):
        raise AssertionError("it computes")

    if request.node.get_closest_marker("study"):
        return
    for name in ("theory.worth", "simulation.sweep", "reproduce.reproduce"):
        monkeypatch.setattr(f"jaxbrain.{name}", computes)


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (("worth",), "describe fewer kinds of latents"),
        (("worth", "--plot", "a.png"), "describe fewer kinds of latents"),
        (("simulate",), "take a smaller grid"),
        (("simulate", "--dry-run"), "take a smaller grid"),
        (("simulate", "--method", "data"), "take a smaller grid"),
    ],
)
def test_too_much_memory_is_refused(capsys, tmp_path, monkeypatch, arguments, remedy):
    monkeypatch.chdir(tmp_path)
    command, *options = arguments
    said = refused(capsys, command, written(tmp_path, MANY_KINDS), *options, *LITTLE)
    assert f"GB, more than --max-gigabytes 1e-06: {remedy}, or allow more" in said
    assert [path.name for path in tmp_path.iterdir()] == ["study.toml"]


def test_reproduction_takes_no_more_than_is_allowed(capsys, tmp_path):
    said = refused(capsys, "reproduce", "all", "--out", str(tmp_path / "new"), *LITTLE)
    assert "more than --max-gigabytes 1e-06: pass --quick, or allow more" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["worth", "simulate", "reproduce", "fit"])
@pytest.mark.parametrize("amount", ["0", "-1", "nan", "inf"])
def test_memory_is_a_positive_amount(capsys, tmp_path, command, amount):
    file = {"reproduce": ("--out", str(tmp_path / "new")), "fit": ("absent.npz",)}.get(command, ())
    said = refused(capsys, command, *file, "--max-gigabytes", amount)
    assert "--max-gigabytes must be a finite number greater than 0" in said


def test_a_grid_costs_in_proportion_to_its_cells():
    """Of a million seeds, or cells, the trials hardly count."""
    sizes = (64, 6, 150)
    few, many = (bytes_of_sweep(sizes, 10, 10, "optimal", seeds) for seeds in (10**5, 10**6))
    assert many == pytest.approx(10 * few, rel=0.1)
    few, many = (bytes_of_sweep(sizes, 10, labels, 10, 10) for labels in (10**4, 10**5))
    assert many == pytest.approx(10 * few, rel=0.1)


MEASURED = """
import resource, sys
import jax
jax.config.update("jax_enable_x64", True)
import jaxbrain as jb

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

def problem(latents, noise):
    channels = 3 * latents if sys.argv[1] == "worth" else None
    return jb.Problem(input_dim=4 * latents, latent_dim=latents, recording_dim=channels,
                      latent_noise=noise, gain=60.0, recording_noise=4.0, task_noise=10.0,
                      aligned_power=[0.9 / latents] * latents, misaligned_power=0.1)

def work(latents):
    if sys.argv[1] == "worth":
        noise = [0.5 + 0.1 * i / latents for i in range(latents)]
        return jb.worth(problem(latents, noise), 50.0 * latents, 10.0 * latents).risk
    return jb.sweep(problem(latents, 0.5), [50 * latents], [10 * latents], [1.0], trials=2,
                    seeds=2, key=jax.random.key(0), n_task_only=[10 * latents], max_bytes=1.0)

work(16)
before = peak()
work(int(sys.argv[2]))
print(peak() - before)
"""


# Tests leave most optimisations out, which takes memory.
AS_USERS = {"JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "0"}


@pytest.mark.study
@pytest.mark.parametrize(("what", "latents"), [("worth", 32768), ("sweep", 2000)])
def test_what_is_reckoned_is_what_is_taken(what, latents):
    """No less than the peak but for a third, and no more than ten times as much.

    What a few latents take, the compiler above all, is there before.
    """
    done = as_program(what, str(latents), program=MEASURED, env=AS_USERS)
    assert done.returncode == 0, done.stderr
    taken = float(done.stdout)
    reckoned = (
        answers._BYTES_A_KIND * latents
        if what == "worth"
        else bytes_of_sweep((4 * latents, latents, None), 1, 1, 1, 2, with_intervals=False)
    )
    assert reckoned / 10 < taken < 1.3 * reckoned, (taken, reckoned)
