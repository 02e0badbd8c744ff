"""What a notebook sees of the reader's shell and configuration: so little that products do not depend on it.

| of the reader                                  | what becomes of it                                                  |
|------------------------------------------------|---------------------------------------------------------------------|
| variables that begin with `DROPPED`            | unset, but for those in `KEPT`                                      |
| those in `KEPT`, `CUDA_*`, `OMP_*`, `PATH`, …  | kept: where things lie, which device, how much of the machine       |
| `ENVIRONMENT`, `FOLDERS`                       | set, whatever they were                                             |
| STABLESPIKE_PROCESSOR=x86-64-v3                | holds XLA, numba, BLAS and NumPy to what all such processors have   |
| configuration of Matplotlib, IPython, Jupyter  | not read: their folders are those in `.cache`                       |
| PYTHONPATH, shell, pip and uv                  | `./reproduce` settles them before anything starts                   |

Numba and Matplotlib also read a file in the folder of the notebook (`.numba_config.yaml`, `matplotlibrc`): it is ours.
"""

import os
import sys
from pathlib import Path

from workflow.faults import Fault
from workflow.machine import HELD, cuda_plugin, gpu_is_visible

DROPPED = (
    "COLUMNS",  # the width of progress bars and tables
    "DNNL_",  # oneDNN's choice of instructions, by either name
    "IPYTHON",
    "JAX_",  # precision, random numbers, debugging
    "JUPYTER_",
    "LINES",
    "MATPLOTLIB",  # MATPLOTLIBRC, a style
    "MPL",
    "NPY_",  # NumPy's choice of instructions
    "NUMBA_",
    "NVIDIA_TF32_OVERRIDE",  # precision
    "ONEDNN_",
    "OPENBLAS_CORETYPE",
    "PYTHON",  # warnings, optimisation, which takes the assertions out of a notebook
    "TENSORFLOW_",  # whether Eigen's products go to oneDNN
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
V3 = "x86-64-v3"
V3_ENVIRONMENT = {  # what every such processor has and no more; sums whose order is that of one thread
    "NUMBA_CPU_FEATURES": "+avx,+avx2,+bmi,+bmi2,+cx16,+f16c,+fma,+lzcnt,+movbe,+popcnt,+sahf,+sse4.2,+xsave",
    "NUMBA_CPU_NAME": V3,
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # of the matrix products in single precision that Eigen leaves to oneDNN
    "OPENBLAS_CORETYPE": "Haswell",
    "OPENBLAS_NUM_THREADS": "1",
}
V3_FLAGS = (  # nor products by libraries that choose their code themselves, nor roots that differ between makers
    "--xla_cpu_max_isa=AVX2 --xla_cpu_multi_thread_eigen=false --xla_cpu_use_xnnpack=false "
    "--xla_cpu_experimental_ynn_fusion_type= --xla_backend_extra_options=xla_cpu_disable_platform_dependent_math"
)
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
    hold_processor()
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


def held_processor() -> str | None:
    """Return the kind of processor that jobs are held to, if that was asked for."""
    held = os.environ.get(HELD) or None
    if held not in (None, V3):
        raise Fault(f"{HELD} is {held!r}: {V3} is the one that jobs can be held to; without it they use all there is.")
    return held


def hold_processor() -> None:
    """Hold XLA, numba, BLAS and NumPy to the instructions that every x86-64-v3 processor has, where it is asked for."""
    if held_processor():
        os.environ.update(V3_ENVIRONMENT)
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {V3_FLAGS}".strip()
        os.environ["NPY_DISABLE_CPU_FEATURES"] = " ".join(later_features())


def later_features() -> list[str]:
    """Return NumPy's names of what this processor has beyond x86-64-v3."""
    import numpy as np

    found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    return [name for name in found if name == "X86_V4" or name.startswith("AVX512")]


def list_fonts(folder: Path) -> None:
    """Let Matplotlib look for fonts here, once, and not in a notebook, where it would say so."""
    if not list(folder.glob("fontlist-*.json")):
        import matplotlib.font_manager  # noqa: F401
