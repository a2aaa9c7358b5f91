"""How every test runs, doctests too: one BLAS thread, double precision, compiled programs kept."""

import os
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# LAPACK calls are small here, and their threads only fight those of XLA for the cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# The code generator that JAX 0.10 can still choose compiles in half the time what the default one does,
# and takes half as many memory maps. Later ones know only one, and refuse flags that they do not know.
if version("jaxlib").startswith("0.10."):
    chosen = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {chosen}".strip()

import jax
import platformdirs

# Compiling the same programs again is most of what the tests would do. They are kept outside of the
# checkout, for all workers and for later runs; JAX's own variable moves them, or turns this off.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    kept = Path(platformdirs.user_cache_dir("jaxbrain")) / "tests"
    # Processes that tests start keep theirs in the same place.
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(kept)
    jax.config.update("jax_compilation_cache_dir", str(kept))
for setting, least in (("MIN_COMPILE_TIME_SECS", 0.05), ("MIN_ENTRY_SIZE_BYTES", -1)):
    os.environ.setdefault(f"JAX_PERSISTENT_CACHE_{setting}", str(least))
    jax.config.update(f"jax_persistent_cache_{setting.lower()}", least)

jax.config.update("jax_enable_x64", True)
