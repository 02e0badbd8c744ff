"""The script for machines with a GPU, tried where there is none."""

import json

import numpy as np
from tests.device.run import TOLERANCES, checked, difference, main


def test_it_writes_what_it_found_and_with_what(tmp_path):
    output = tmp_path / "gpu.json"
    assert main(["--processor", "--only", "layer, LIF", "--output", str(output)]) == 0
    found = json.loads(output.read_text())
    assert found["results"] == {"layer, LIF": {"spikes": 0.0, "bars": 0.0, "right": True}}
    assert found["provenance"].keys() >= {"commit", "changes", "gpu", "processor", "libraries", "jax"}


def test_what_no_time_is_left_for_is_named(tmp_path):
    output = tmp_path / "gpu.json"
    assert main(["--processor", "--seconds", "-1", "--only", "layer", "--output", str(output)]) == 0
    found = json.loads(output.read_text())["results"]
    assert found == {f"layer, {name}": {"left out": "-1 s had passed"} for name in ("LIF", "QIF", "Theta")}


def test_a_difference_is_seen():
    one = {"a": np.array([1.0, 2.0, np.inf])}
    assert difference(one, {"a": np.array([1.0, 2.0, np.inf])}, ["a"]) == 0
    assert difference(one, {"a": np.array([1.0, 2.2, np.inf])}, ["a"]) == np.abs(2.2 - 2.0) / 2
    assert difference(one, {"a": np.array([1.0, 2.0, 3.0])}, ["a"]) == np.inf
    assert not checked({"spikes": 2 * TOLERANCES["spikes"], "bars": 0.0})["right"]


def test_parts_that_simulate_are_compared_with_themselves_where_nothing_is_launched(tmp_path):
    output = tmp_path / "gpu.json"
    assert main(["--processor", "--only", "simulate, feed-forward, LIF", "--output", str(output)]) == 0
    found = json.loads(output.read_text())["results"]
    assert found == {"simulate, feed-forward, LIF": {"spikes": 0.0, "bars": 0.0, "right": True}}


def test_a_process_that_says_nothing_is_ended_and_named(tmp_path):
    output = tmp_path / "gpu.json"
    assert main(["--patience", "0.1", "--only", "what the launch finds", "--output", str(output)]) == 1
    found = json.loads(output.read_text())["results"]
    assert found == {"what the launch finds": {"error": "silent for 0.1 s"}}


def test_a_part_that_fails_ends_its_process_and_the_next_goes_on(tmp_path, monkeypatch):
    output = tmp_path / "gpu.json"
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert main(["--only", "GeneralLIF", "--output", str(output)]) == 2
    found = json.loads(output.read_text())["results"]
    assert list(found) == ["simulate, feed-forward, GeneralLIF", "simulate, recurrent, GeneralLIF"]
    assert all("Unknown backend" in one["error"] for one in found.values())


def test_a_layer_on_a_grid_is_compared(tmp_path):
    output = tmp_path / "gpu.json"
    assert main(["--processor", "--only", "on a grid, kernels", "--output", str(output)]) == 0
    found = json.loads(output.read_text())["results"]
    assert found == {"recurrent, on a grid, kernels": {"spikes": 0.0, "bars": 0.0, "right": True}}
