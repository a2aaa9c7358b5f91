"""How every test runs, doctests too: one BLAS thread, double precision, compiled programs kept."""

import atexit
import gc
import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# LAPACK calls are small here, and their threads only fight those of XLA for the cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Of the two code generators of JAX 0.10 this one compiles in half the time, and takes half as many
# memory maps. Later ones have a single one, and end at a flag that they do not know.
if version("jaxlib").startswith("0.10."):
    chosen = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {chosen}".strip()

# Nor do tests run for long enough to win back what optimising their programs takes.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

import jax
import platformdirs


def find_cache() -> Path:
    """A folder outside of the checkout; one for this run alone where the user's is not writable."""
    kept = Path(platformdirs.user_cache_dir("jaxbrain")) / "tests"
    try:
        kept.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=kept).close()
    except OSError:
        kept = Path(tempfile.mkdtemp(prefix="jaxbrain-tests-"))
        atexit.register(shutil.rmtree, kept, ignore_errors=True)
    return kept


# Compiling the same programs again is most of what the tests would do: they are kept, for all
# workers and for later runs. JAX's own variables move them, or turn this off
# (JAX_ENABLE_COMPILATION_CACHE=0). The environment tells workers, and processes that tests start.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(find_cache())
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.05")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
# A plugin may have imported JAX before these were there to be read.
for setting, kind in (
    ("JAX_DISABLE_MOST_OPTIMIZATIONS", lambda text: text.lower() not in ("0", "false", "off")),
    ("JAX_COMPILATION_CACHE_DIR", str),
    ("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", float),
    ("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", int),
):
    jax.config.update(setting.lower(), kind(os.environ[setting]))

jax.config.update("jax_enable_x64", True)

# Tracing makes objects by the million, most of which stay: looking through all of them for garbage
# again and again took a sixth of the time.
gc.set_threshold(200_000, 50, 100)
