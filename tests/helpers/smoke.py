"""The tests that CI runs on the newest Python and JAX too: what depends on versions, quickly."""

from fnmatch import fnmatchcase

# Names as pytest prints them; `*` stands for anything, other folders included.
SMOKE = (
    # Each public function once, but for those that take longest to compile.
    "jaxbrain/models/*::*",
    "jaxbrain/estimators/*::*",
    "jaxbrain/theory/*::*",
    "jaxbrain/simulation/*::*",
    "jaxbrain/tuning/penalty.py::*",
    "jaxbrain/budget/optimal.py::*",
    "jaxbrain/pilot/*::*",
    "jaxbrain/figures/*::*",
    "jaxbrain/sklearn/*.py::*",
    "jaxbrain/store*::*",
    "tests/test_layering.py::test_a_package_says_what_is_public*",
    # Types, pytrees, keys, precision.
    "tests/models/*::test_models_can_be_jitted",
    "tests/models/*::test_stacked_models_map_like_a_loop",
    "tests/models/*::test_samples_follow_the_key",
    "tests/models/*::test_number_of_samples_is_checked*",
    "tests/models/*::*single_precision*",
    "tests/test_refusals.py::test_a_key_is_a_key_everywhere*",
    # Derivatives, tracing, compiling.
    "tests/test_linalg.py::*_under_*vmap",
    "tests/test_linalg.py::test_second_derivative_of_the_root",
    "tests/test_linalg.py::test_root_in_single_precision",
    "tests/estimators/*::test_changing_penalties_compiles_nothing_anew",
    "tests/estimators/*::test_ridge_is_that_of_scikit_learn*",
    "tests/estimators/*::test_trials_map_like_a_loop",
    "tests/test_export.py::*",
    # Devices, processes, files.
    "tests/simulation/test_devices.py::*",
    "tests/test_store.py::test_what_is_written_is_read",
    "tests/pilot/test_formats.py::test_one_file_or_folder_holds_a_study*",
    "tests/pilot/test_hdf5.py::test_hdf5_is_not_followed_elsewhere",
    "tests/test_store.py::test_a_file_that_is_no_table_is_named*",
    # scikit-learn.
    "tests/test_sklearn.py::test_checks_of_scikit_learn[BEFS*",
    "tests/test_sklearn.py::test_works_in_cross_validation_pipelines_and_searches",
    # The command line.
    "tests/cli/*::test_json_is_what_the_library_says",
    "tests/cli/*::test_every_fault_of_a_config_is_told_at_once",
    "tests/cli/*::test_importing_the_library_*",
    "tests/cli/*::test_help_tells_*",
    "tests/cli/*::test_info_*",
    "tests/cli/test_cache.py::*",
)


def is_smoke(name: str) -> bool:
    """Whether the test of this name, `file::function[case]`, is one of them."""
    # Brackets are sets to fnmatch, and themselves here.
    return any(fnmatchcase(name, pattern.replace("[", "[[]")) for pattern in SMOKE)
