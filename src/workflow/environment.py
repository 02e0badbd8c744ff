"""What a notebook sees of the reader's shell and configuration: so little that products do not depend on it.

| of the reader                                  | what becomes of it                                                  |
|------------------------------------------------|---------------------------------------------------------------------|
| variables that begin with `DROPPED`            | unset, but for those in `KEPT`                                      |
| those in `KEPT`, `CUDA_*`, `OMP_*`, `PATH`, …  | kept: where things lie, which device, how much of the machine       |
| `ENVIRONMENT`, `FOLDERS`                       | set, whatever they were                                             |
| configuration of Matplotlib, IPython, Jupyter  | not read: their folders are those in `.cache`                       |
| PYTHONPATH, shell, pip and uv                  | `./reproduce` settles them before anything starts                   |

Numba and Matplotlib also read a file in the folder of the notebook (`.numba_config.yaml`, `matplotlibrc`): it is ours.
"""

import os
import sys
from pathlib import Path

from workflow.machine import cuda_plugin, gpu_is_visible

DROPPED = (
    "COLUMNS",  # the width of progress bars and tables
    "IPYTHON",
    "JAX_",  # precision, random numbers, debugging
    "JUPYTER_",
    "LINES",
    "MATPLOTLIB",  # MATPLOTLIBRC, a style
    "MPL",
    "NUMBA_",
    "NVIDIA_TF32_OVERRIDE",  # precision
    "PYTHON",  # warnings, optimisation, which takes the assertions out of a notebook
    "TF_",
    "TQDM_",
    "XLA_",
)
KEPT = (
    "JAX_COMPILATION_CACHE_DIR",
    "JAX_PLATFORMS",
    "NUMBA_CACHE_DIR",
    "NUMBA_NUM_THREADS",
    "PYTHONPATH",
    "XLA_PYTHON_CLIENT_ALLOCATOR",
    "XLA_PYTHON_CLIENT_MEM_FRACTION",
    "XLA_PYTHON_CLIENT_PREALLOCATE",
)
ENVIRONMENT = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JUPYTER_NO_CONFIG": "1",
    "JUPYTER_PREFER_ENV_PATH": "1",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYTHONHASHSEED": "0",
    "PYTHONNOUSERSITE": "1",
    "PYTHONUTF8": "1",
    "SOURCE_DATE_EPOCH": "0",
    "TQDM_MININTERVAL": "2",
}
FOLDERS = {
    "IPYTHONDIR": "ipython",
    "JUPYTER_CONFIG_DIR": "jupyter/config",
    "JUPYTER_DATA_DIR": "jupyter/data",
    "JUPYTER_RUNTIME_DIR": "jupyter/runtime",
    "MPLCONFIGDIR": "matplotlib",
}
CACHES = {"JAX_COMPILATION_CACHE_DIR": "jax", "NUMBA_CACHE_DIR": "numba"}


def set_environment() -> None:
    """Set what the kernel inherits: folders shared by all jobs, and whatever makes two runs alike."""
    for name in [name for name in os.environ if name.startswith(DROPPED) and name not in KEPT]:
        del os.environ[name]
    os.environ.update(ENVIRONMENT)
    for variable, folder in FOLDERS.items():
        os.environ[variable] = made(folder)
    for variable, folder in CACHES.items():
        os.environ.setdefault(variable, made(folder))
    choose_device()
    list_fonts(Path(os.environ["MPLCONFIGDIR"]))


def made(folder: str) -> str:
    """Return the full path of a folder in `.cache`, which is made."""
    path = Path(".cache", folder).resolve()
    path.mkdir(parents=True, exist_ok=True)
    return str(path)


def choose_device() -> None:
    """Make a GPU give the same bytes every time, or say that there is none and take the CPU."""
    if gpu_is_visible():
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true".strip()
    elif cuda_plugin():
        print("JAX is installed for CUDA but no GPU is visible: this job uses the CPU.", file=sys.stderr)
        os.environ["JAX_PLATFORMS"] = "cpu"


def list_fonts(folder: Path) -> None:
    """Let Matplotlib look for fonts here, once, and not in a notebook, where it would say so."""
    if not list(folder.glob("fontlist-*.json")):
        import matplotlib.font_manager  # noqa: F401
