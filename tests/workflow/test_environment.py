"""The locks, pyproject.toml, environment.yaml and the environment that the tests run in agree, without a network."""

import re
import sys
import tomllib
from importlib.metadata import distribution, distributions, version
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from jupyter_client.kernelspec import KernelSpecManager
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
EXTRAS = ("data", "workflow", "test")
LOCKS = {"cpu": EXTRAS, "cuda12": (*EXTRAS, "cuda12"), "cuda13": (*EXTRAS, "cuda13")}
PEERS = sorted(path.stem for path in (ROOT / "envs" / "peers").glob("*.in"))
MINORS = ("3.11", "3.12", "3.13")
ENTRY = re.compile(
    r"(?P<name>[a-z0-9-]+)==(?P<version>[^ ;]+)(?: ; (?P<marker>.+?))?(?P<hashes>(?: --hash=sha256:[0-9a-f]{64})+)"
)


class Pin(NamedTuple):
    version: str
    marker: str | None

    def applies(self, **environment):
        return self.marker is None or Marker(self.marker).evaluate(environment or None)


def entries(lock):
    """The lock's logical lines, continuation lines joined."""
    text = (ROOT / "envs" / f"{lock}.lock.txt").read_text()
    return [" ".join(line.split()) for line in text.replace("\\\n", " ").splitlines()]


def pins(lock):
    found = [ENTRY.fullmatch(line) for line in entries(lock)]
    return {match["name"]: Pin(match["version"], match["marker"]) for match in found}


def requirements(extras):
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in PROJECT["optional-dependencies"][extra])]
    return [Requirement(line) for line in lines]


def lock_in_use():
    installed = {canonicalize_name(found.name) for found in distributions()}
    return next((lock for lock in LOCKS if f"jax-{lock}-plugin" in installed), "cpu")


@pytest.mark.parametrize("lock", [*LOCKS, "ptx"])
def test_every_entry_is_pinned_with_hashes_and_nothing_else_is_said(lock):
    assert [line for line in entries(lock) if not ENTRY.fullmatch(line)] == []


@pytest.mark.parametrize("peer", PEERS)
def test_the_lock_of_a_peer_names_its_python_and_pins_what_the_peer_is(peer):
    python, *lines = entries(f"peers/{peer}")
    assert re.fullmatch(r"# Python 3\.\d+", python)
    assert [line for line in lines if not ENTRY.fullmatch(line)] == []
    wanted = (ROOT / "envs" / "peers" / f"{peer}.in").read_text().split()
    assert wanted[0].startswith(f"{peer}==")
    assert {line.split()[0] for line in lines} >= set(wanted)


@pytest.mark.parametrize("lock", [*LOCKS, "ptx"])
def test_each_package_has_one_version_for_all_pythons(lock):
    assert len(pins(lock)) == len(entries(lock))


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_is_met_by_the_lock(lock):
    locked = pins(lock)
    wanted = [*requirements(LOCKS[lock]), *map(Requirement, PYPROJECT["build-system"]["requires"])]
    for requirement in wanted:
        pin = locked[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pin.version), requirement
        assert all(pin.applies(python_full_version=f"{minor}.0", python_version=minor) for minor in MINORS)
    for extra in (extra for requirement in wanted for extra in requirement.extras if requirement.name == "jax"):
        assert f"jax-{extra}-plugin" in locked


@pytest.mark.parametrize("lock", ["cuda12", "cuda13"])
def test_the_cuda_locks_are_the_cpu_lock_and_the_cuda_packages(lock):
    shared, locked = pins("cpu"), pins(lock)
    assert shared.items() <= locked.items()
    added = locked.keys() - shared.keys()
    assert all(name.startswith(("nvidia-", f"jax-{lock}-", "cuda-", "numba-cuda")) for name in added)
    assert {pin.version for name, pin in locked.items() if name.startswith("jax-")} == {locked["jax"].version}


def test_the_lock_that_compiles_for_gpus_is_part_of_the_cpu_lock_and_that_compiler():
    shared, locked = pins("cpu"), pins("ptx")
    added = locked.keys() - shared.keys()
    assert all(name.startswith(("nvidia-", "cuda-", "numba-cuda")) for name in added)
    assert all(locked[name].version == shared[name].version for name in locked.keys() - added)
    wanted = map(Requirement, (ROOT / "envs" / "ptx.in").read_text().splitlines()[1:])
    assert all(one.specifier.contains(locked[one.name].version) for one in wanted)


def overridden(requirement):
    """What the lock takes instead of a package's own requirement."""
    given = (Requirement(line) for line in PYPROJECT["tool"]["uv"]["override-dependencies"])
    return next((line for line in given if line.name == canonicalize_name(requirement.name)), requirement)


def needed(start):
    """Every package that the requirements need on this Python and system, by the installed packages' own metadata."""
    found, queue = set(), [(requirement, "") for requirement in start]
    while queue:
        requirement, extra = queue.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        for wanted in {"", *requirement.extras} - {seen for package, seen in found if package == name}:
            found.add((name, wanted))
            queue += [(overridden(Requirement(line)), wanted) for line in distribution(name).requires or ()]
    return {name for name, _ in found}


def test_the_lock_holds_what_the_requirements_need_and_no_more():
    lock = lock_in_use()
    here = {name for name, pin in pins(lock).items() if pin.applies()}
    assert here == needed(requirements(LOCKS[lock]))


def test_the_tests_run_in_the_locked_environment():
    locked = {name: pin.version for name, pin in pins(lock_in_use()).items() if pin.applies()}
    assert {name: version(name) for name in locked} == locked


def test_conda_builds_the_same_environment():
    conda = yaml.safe_load((ROOT / "envs" / "environment.yaml").read_text())
    python, _, pip = conda["dependencies"]
    assert pip == {"pip": ["--require-hashes", "-r cpu.lock.txt"]}
    offered = [minor for minor in range(30) if SpecifierSet(python.removeprefix("python ")).contains(f"3.{minor}.0")]
    admitted = [minor for minor in range(30) if SpecifierSet(PROJECT["requires-python"]).contains(f"3.{minor}.0")]
    assert offered
    assert set(offered) <= set(admitted)
    assert admitted == [int(minor.split(".")[1]) for minor in MINORS]
    assert (ROOT / conda["variables"]["SNAKEMAKE_PROFILE"]).is_dir()


def test_what_builds_a_package_without_a_wheel_is_locked():
    assert all("setuptools" in pins(lock) and "uv" in pins(lock) for lock in LOCKS)


def test_the_lock_script_takes_the_same_extras_and_the_oldest_python():
    script = (ROOT / "envs" / "lock").read_text()
    (package,) = (line for line in script.splitlines() if line.startswith("package="))
    assert re.findall(r"--extra ([a-z]+)", package) == list(EXTRAS)
    assert f"--python-version {MINORS[0]}" in script


def test_notebooks_run_in_this_environment():
    kernel = KernelSpecManager().get_kernel_spec("python3")
    assert Path(kernel.resource_dir).is_relative_to(sys.prefix)
