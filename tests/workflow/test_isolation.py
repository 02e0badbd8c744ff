"""A reader's shell and user configuration reach no notebook: what is dropped, what is kept, one run under them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.workflow.miniature import build, environment

from workflow import environment as settled
from workflow.faults import Fault

HABITS = {
    "COLUMNS": "40",
    "DNNL_MAX_CPU_ISA": "SSE41",
    "IPYTHONDIR": "{home}/.ipython",
    "JAX_DISABLE_JIT": "1",
    "JAX_ENABLE_X64": "0",
    "JUPYTER_PATH": "{home}/jupyter",
    "MATPLOTLIBRC": "{home}/.config/matplotlib/matplotlibrc",
    "MPLBACKEND": "agg",
    "MPLCONFIGDIR": "{home}/.config/matplotlib",
    "NUMBA_DISABLE_JIT": "1",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "PYTHONHASHSEED": "7",
    "PYTHONIOENCODING": "latin-1",
    "PYTHONOPTIMIZE": "1",
    "PYTHONSTARTUP": "{home}/start.py",
    "PYTHONWARNINGS": "always",
    "TENSORFLOW_USE_CUSTOM_CONTRACTION_KERNEL": "false",
    "TQDM_ASCII": "1",
    "XLA_FLAGS": "--xla_force_host_platform_device_count=3",
}
FILES = {
    ".config/matplotlib/matplotlibrc": "figure.figsize: 1, 1\nsavefig.dpi: 17\n",
    ".ipython/profile_default/startup/00.py": "print('from the startup file')\n",
    ".ipython/profile_default/ipython_kernel_config.py": "c.InteractiveShellApp.exec_lines = ['slope = 99']\n",
    ".jupyter/jupyter_config.py": "raise SystemExit('read the configuration of Jupyter')\n",
    ".local/share/jupyter/kernels/python3/kernel.json": json.dumps({"argv": ["false"], "display_name": "mine"}),
    ".local/share/jupyter/nbconvert/templates/basic/conf.json": "{",
    "jupyter/kernels/python3/kernel.json": json.dumps({"argv": ["false"], "display_name": "mine"}),
    "start.py": "raise SystemExit\n",
}


@pytest.fixture
def left(tmp_path, monkeypatch):
    """The variables that a notebook gets of a shell with habits."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".cache/matplotlib").mkdir(parents=True)
    (tmp_path / ".cache/matplotlib/fontlist-v1.json").touch()
    shell = HABITS | {
        "JAX_PLATFORMS": "cpu",
        "OMP_NUM_THREADS": "1",
        "NUMBA_CACHE_DIR": "/tmp/mine",
        "PYTHONPATH": "src",
    }
    monkeypatch.setattr(os, "environ", dict(shell))
    settled.set_environment()
    return os.environ


def test_what_changes_products_is_dropped_or_set(left):
    for name, value in HABITS.items():
        assert left.get(name) != value, name
    assert not [name for name in left if name.startswith(settled.DROPPED) and name not in known()]


def known():
    return {*settled.KEPT, *settled.ENVIRONMENT, *settled.FOLDERS, *settled.CACHES}


def test_places_and_devices_are_kept(left):
    kept = {"JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": "1", "NUMBA_CACHE_DIR": "/tmp/mine", "PYTHONPATH": "src"}
    assert {name: left[name] for name in kept} == kept


def test_folders_of_configuration_are_this_repositorys(left, tmp_path):
    for name in settled.FOLDERS:
        assert Path(left[name]).is_relative_to(tmp_path)
        assert Path(left[name]).is_dir()


def test_jobs_can_be_held_to_one_kind_of_processor(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".cache/matplotlib").mkdir(parents=True)
    (tmp_path / ".cache/matplotlib/fontlist-v1.json").touch()
    monkeypatch.setattr(os, "environ", dict(os.environ) | {"STABLESPIKE_PROCESSOR": "x86-64-v3"})
    settled.set_environment()
    code = (
        "import jax, numba, numpy as np; from workflow.machine import describe_session;"
        "double = numba.njit(lambda x: np.exp(x).sum()); double(np.ones(99));"
        "print(any('zmm' in one for one in double.inspect_asm().values()), describe_session()['held_to'],"
        "set(np.show_config(mode='dicts')['SIMD Extensions']['found']) <= {'X86_V3', 'AVX2', 'FMA3'},"
        "jax.jit(jax.numpy.exp)(0.0))"
    )
    said = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True, env=os.environ)
    assert said.stdout.split() == ["False", "x86-64-v3", "True", "1.0"]


def test_another_kind_of_processor_is_refused(monkeypatch):
    monkeypatch.setenv("STABLESPIKE_PROCESSOR", "haswell")
    with pytest.raises(Fault, match="x86-64-v3 is the one that jobs can be held to"):
        settled.held_processor()


def answered(folder, **variables):
    """The products of the miniature's `line`, answered under some variables."""
    build(folder)
    command = [sys.executable, "-m", "workflow.run", "config/quick.yaml", "line"]
    done = subprocess.run(
        command, cwd=folder, env=environment(folder) | variables, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return {path.name: path.read_bytes() for path in (folder / "results/quick/line").iterdir() if path.is_file()}


@pytest.mark.slow
def test_the_same_bytes_with_habits_and_without_a_home(tmp_path):
    home = tmp_path / "home"
    for name, text in FILES.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    plain = answered(tmp_path / "plain", HOME=str(tmp_path / "empty"))
    assert b"stderr" not in plain["notebook.ipynb"]
    habits = {name: value.format(home=home) for name, value in HABITS.items()}
    assert answered(tmp_path / "habits", HOME=str(home), **habits) == plain
    assert answered(tmp_path / "homeless", HOME="/proc/nowhere") == plain
