"""Compiled programs are kept from one start to the next; trouble with that stops nobody."""

import json
import warnings
from pathlib import Path

import jax
import pytest

from jaxbrain.cli import cache as module
from jaxbrain.cli.cache import VARIABLE, cache, facts, kept, programs_kept
from tests.helpers.cli import as_program

READING = "Error reading persistent compilation cache entry for 'jit_f': ZstdError: truncated"
SETTINGS = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")


@pytest.fixture
def unset(monkeypatch, tmp_path):
    """As for a user who set nothing, with a cache folder that is not the real one."""
    monkeypatch.setattr(module.platformdirs, "user_cache_dir", lambda _: str(tmp_path / "user"))
    monkeypatch.delenv(VARIABLE, raising=False)
    before = jax.config.values[SETTINGS[0]]
    jax.config.update(SETTINGS[0], None)
    yield tmp_path / "user" / "programs"
    jax.config.update(SETTINGS[0], before)


def test_jax_s_settings_win_then_our_variable_then_the_user_s_folder(unset, monkeypatch, tmp_path):
    assert cache() == (unset, "")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "mine"))
    assert cache().folder == tmp_path / "mine" / "programs"
    monkeypatch.setenv(VARIABLE, "~/mine")
    assert cache().folder == Path.home() / "mine" / "programs"
    for off in ("off", "OFF", "", " "):
        monkeypatch.setenv(VARIABLE, off)
        assert cache() == (None, f"{VARIABLE}={off}")
        assert facts() == {"compiled programs": f"not kept ({VARIABLE}={off})"}
    jax.config.update(SETTINGS[0], str(tmp_path / "jax"))
    assert cache().folder == tmp_path / "jax"
    assert "JAX_COMPILATION_CACHE_DIR is set" in facts()["to move them"]
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        assert cache() == (None, "jax_enable_compilation_cache is false")
    finally:
        jax.config.update("jax_enable_compilation_cache", True)


def test_settings_hold_inside_and_are_restored(unset):
    before = [jax.config.values[name] for name in SETTINGS]
    with programs_kept():
        folder = Path(jax.config.values[SETTINGS[0]])
        # Machines that share the folder may have other processors.
        assert folder.parent == unset
        assert folder.is_dir()
        assert cache().folder == unset
        (folder / "jit_f-0-cache").write_bytes(b"12345")
        (folder / "jit_f-0-atime").write_bytes(b"12345")
        assert kept(unset) == (1, 5)
        assert facts()["number, size of them"] == "1, 0.0 MB"
        assert facts()["compiled programs"] == str(unset)
    assert [jax.config.values[name] for name in SETTINGS] == before


def test_what_jax_says_of_a_damaged_entry_is_not_shown_and_the_entry_goes(unset, recwarn):
    with programs_kept():
        folder = Path(jax.config.values[SETTINGS[0]])
        names = ("jit_f-12ab-cache", "jit_g-12ab-cache", "jit_f-12ab-other")
        for name in names:
            (folder / name).write_bytes(b"x")
        warnings.warn(READING, UserWarning, stacklevel=1)
        assert sorted(path.name for path in folder.iterdir()) == sorted(names[1:])
        # A full disk leaves a part of an entry behind.
        warnings.warn(READING.replace("reading", "writing").replace("_f", "_g"), stacklevel=1)
        assert [path.name for path in folder.iterdir()] == [names[2]]
        assert not recwarn.list
        with pytest.warns(UserWarning, match="something else"):
            warnings.warn("something else", UserWarning, stacklevel=1)


def test_entries_of_others_are_left_alone(unset, tmp_path):
    theirs = tmp_path / "jit_f-12ab-cache"
    theirs.write_bytes(b"x")
    jax.config.update(SETTINGS[0], str(tmp_path))
    with programs_kept():
        warnings.warn(READING, UserWarning, stacklevel=1)
    assert theirs.exists()


def test_a_folder_that_cannot_be_written_is_done_without(unset, monkeypatch):
    unset.parent.write_text("a file in its place")
    with programs_kept():
        assert jax.config.values[SETTINGS[0]] is None
    assert facts() == {"compiled programs": f"not kept ({unset} cannot be written)"}


def test_the_second_start_compiles_nothing(tmp_path):
    """In processes of their own, with a damaged entry before the third."""
    settings = {VARIABLE: str(tmp_path), "JAX_LOG_COMPILES": "1", "JAX_COMPILATION_CACHE_DIR": ""}
    settings |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    arguments = ("worth", "--preset", "small", "--json")
    answers = []
    for start in range(3):
        done = as_program(*arguments, env=settings)
        assert done.returncode == 0, done.stderr
        answers.append(json.loads(done.stdout))
        programs = sorted(tmp_path.glob("programs/*/*-cache"))
        hits = done.stderr.count("Persistent compilation cache hit")
        # A conversion may come twice in one start: once of what is known while others are traced.
        twice = done.stderr.count("cache hit for 'jit_convert_element_type'")
        assert (hits > twice) == (start > 0)
        assert "Error" not in done.stderr
        (damaged,) = [path for path in programs if path.name.startswith("jit__worth-")]
        if start == 1:
            assert hits == done.stderr.count("Compiling jit")
            complete = damaged.read_bytes()
            damaged.write_bytes(complete[: len(complete) // 2])
    assert len(damaged.read_bytes()) > len(complete) // 2
    assert answers[0] == answers[1] == answers[2]
