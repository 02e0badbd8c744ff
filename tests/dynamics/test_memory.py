"""Runs that there is not the memory for: a sentence before they start, by what the machine or its limits leave."""

import resource

import jax.numpy as jnp
import pytest

import stablespike as ss
from stablespike.dynamics import memory
from stablespike.dynamics.memory import allotted, memory_here, require_memory


def test_a_run_of_more_than_there_is_is_refused():
    require_memory(memory_here(), "All of it")
    with pytest.raises(MemoryError, match=r"^A list would take \S+ GB, and there are \S+ GB here\.$"):
        require_memory(memory_here() + 1, "A list")


def test_a_limit_of_the_process_counts(monkeypatch):
    monkeypatch.setattr(memory.resource, "getrlimit", lambda _: (10**9, resource.RLIM_INFINITY))
    with pytest.raises(MemoryError, match="would take 2 GB, and there are 1 GB here"):
        require_memory(2 * 10**9, "A list")


def test_the_smallest_limit_of_a_group_and_those_around_it_counts(tmp_path):
    groups, system = tmp_path / "cgroup", tmp_path / "system"
    (system / "slurm/job").mkdir(parents=True)
    for place, limit in ((system, "max\n"), (system / "slurm", "3000\n"), (system / "slurm/job", "4000\n")):
        (place / "memory.max").write_text(limit)
    (tmp_path / "memory.max").write_text("1\n")  # not of this tree
    groups.write_text("4:memory:/elsewhere\n0::/slurm/job\n")
    assert sorted(allotted(str(groups), str(system))) == [3000, 4000]
    groups.write_text("0::/\n")
    assert allotted(str(groups), str(system) + "/") == ()
    assert allotted(str(tmp_path / "none"), str(system)) == ()


def test_a_grid_of_more_steps_than_there_is_room_for_is_refused():
    network = ss.Network(ss.Layer(ss.LIF(4.0), ss.Dense(jnp.zeros((2, 100_000)))))
    nothing = ss.Spikes(jnp.zeros(0), jnp.zeros(0, int))
    with pytest.raises(MemoryError, match="A trial of 100000000 steps of 100000 channels and 2 neurons would take 8e"):
        ss.simulate(network, nothing, 1e8, on=ss.Grid(1.0, ss.SuperSpike(10.0)))


def test_windows_between_delays_of_a_trial_without_end_are_refused():
    loop = ss.Delayed(jnp.ones((4, 4)), jnp.full(4, 0.5))
    network = ss.Network(ss.Layer(ss.QIF(1.0), ss.Dense(jnp.ones((4, 2))), loop=loop))
    nothing = ss.Spikes(jnp.zeros(0), jnp.zeros(0, int))
    with pytest.raises(MemoryError, match=r"Room for \d+ spikes, 8 of a neuron and window would take"):
        ss.simulate(network, nothing, 1e12, on=ss.Events(8))
