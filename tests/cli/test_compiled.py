"""The cache of compiled programs that the commands turn on."""

import jax
import pytest

from snnjax.cli._compiled import keep_compiled_programs

NAMES = (
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_compilation_cache_max_size",
)


@pytest.fixture(autouse=True)
def no_folder():
    """JAX without a folder, as a command finds it."""
    before = {name: getattr(jax.config, name) for name in NAMES}
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_the_folder_is_in_the_cache_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("SNNJAX_CACHE", str(tmp_path))
    keep_compiled_programs()
    (folder,) = (tmp_path / "compiled").iterdir()
    assert jax.config.jax_compilation_cache_dir == str(folder)
    assert jax.config.jax_persistent_cache_min_compile_time_secs == 0


def test_a_folder_of_the_user_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("SNNJAX_CACHE", str(tmp_path))
    jax.config.update("jax_compilation_cache_dir", "of_the_user")
    keep_compiled_programs()
    assert jax.config.jax_compilation_cache_dir == "of_the_user"
    assert not list(tmp_path.iterdir())


def test_without_a_place_for_it_programs_are_not_kept(monkeypatch):
    monkeypatch.setenv("SNNJAX_CACHE", "/dev/null/cache")
    keep_compiled_programs()
    assert jax.config.jax_compilation_cache_dir is None
