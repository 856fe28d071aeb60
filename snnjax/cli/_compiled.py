"""Programs that the commands compiled, kept for the next command."""

import hashlib
import importlib.util
import os
import platform
from pathlib import Path

import jax

from .._files import cache_folder

_MOST_BYTES = 2**30


def keep_compiled_programs() -> None:
    """Turn on JAX's persistent compilation cache, in `cache_folder()`.

    Nothing changes where JAX has a folder for it already, as `JAX_COMPILATION_CACHE_DIR` sets, or
    where the folder cannot be written to. `JAX_ENABLE_COMPILATION_CACHE=false` turns it off.
    """
    if jax.config.jax_compilation_cache_dir is not None:  # type: ignore[attr-defined]
        return
    folder = cache_folder() / "compiled" / processor()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if not os.access(folder, os.W_OK):
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # By default, JAX keeps only programs that took a second.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    if importlib.util.find_spec("filelock"):  # JAX needs it to delete the oldest.
        jax.config.update("jax_compilation_cache_max_size", _MOST_BYTES)


def processor() -> str:
    """A name for the processor's instructions, which compiled programs use.

    JAX's own key of a program holds the program, the flags and the versions of jaxlib and XLA.
    """
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    flags = [line for line in lines if line.startswith(("flags", "Features"))][:1]
    instructions = " ".join([platform.machine(), platform.processor(), *flags])
    return hashlib.sha256(instructions.encode()).hexdigest()[:16]
