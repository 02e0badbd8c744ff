"""What XLA compiles for an H200 on a machine without one: kernels a step of each loop, and temporary memory.

    PYTHONPATH=src python -m tests.device.compiled D R S
    PYTHONPATH=src python -m tests.device.compiled --launched D R E M S

It needs the CUDA plugin of JAX and NVIDIA's compiler (`envs/cuda13.lock.txt`), and E and M take minutes. With
`--launched` D, R, E and M are those of the time-reversed rules and S that of `run_on_grid_natively`, which launch the
kernels of `native.cuda`. The card is described by numbers that its maker publishes; nothing runs on it.
"""

import os
import re
import sys

os.environ["JAX_PLATFORMS"] = "cpu"
import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from tests.device.run import points, yin_yang

import stablespike as ss
from stablespike.dynamics.engines.events import simulate
from stablespike.dynamics.engines.layers import simulate_layer
from stablespike.dynamics.grid.network import UNROLL
from stablespike.learning.gradients import on_gpu
from stablespike.learning.gradients.grid_route import run_on_grid_natively
from stablespike.learning.gradients.time_reversed import time_reversed
from stablespike.native.cuda.driver import Driver
from studies.benchmarks.grid_workloads import surrogate_training_step
from studies.benchmarks.workloads import (
    RECURRENT_END,
    driven_network,
    mnist_gradient,
    recurrent_gradient,
    surrogate_step,
    yin_yang_step,
)

H200 = {
    "threads_per_block_limit": 1024, "threads_per_warp": 32, "shared_memory_per_block": 49152,
    "shared_memory_per_core": 233472, "threads_per_core_limit": 2048, "core_count": 132, "fpus_per_core": 128,
    "block_dim_limit_x": 2147483647, "block_dim_limit_y": 65535, "block_dim_limit_z": 65535,
    "memory_bandwidth": 4800000000000, "l2_cache_size": 52428800, "clock_rate_ghz": 1.98,
    "device_memory_size": 151397597184, "shared_memory_per_block_optin": 232448, "registers_per_core_limit": 65536,
    "registers_per_block_limit": 65536,
}  # fmt: skip
STARTED = "fusion|custom-call|sort|copy|dynamic-slice|dynamic-update-slice|gather|scatter|reduce|dot|convert|iota"


def delayed_gradient(rule):
    """D: as R, with delays from 0.5 to 1 tau: gradient of the sum of all spike times, 31 windows, float64."""
    driven, _, inputs = driven_network(jnp.float64)
    delays = jnp.linspace(0.5, 1, driven.size)

    def loss(weights, input_weights):
        loop = ss.Delayed(weights, delays, within=(0.5, 1.0))
        network = ss.Network(ss.Layer(driven.neuron, ss.Dense(input_weights), loop=loop))
        run = ss.simulate(network, inputs, until=RECURRENT_END, on=ss.Events(16), gradient=rule)
        return jnp.sum(jnp.where(jnp.isfinite(run.output.times), run.output.times, 0))

    return jax.grad(loss, (0, 1)), (driven.weights, driven.input_weights)


WORKLOADS = {
    "D": lambda: delayed_gradient(ss.Recorded()),
    "R": lambda: recurrent_gradient(simulate, jnp.float64),
    "S": lambda: surrogate_step(jnp.float32),
    "S, package": lambda: surrogate_training_step(run_on_grid_natively, jnp.float32),
    "E": yin_yang,
    "M": lambda: mnist_gradient(ss.Recorded(), jnp.float32),
}
LAUNCHED = {
    "D": lambda: delayed_gradient(ss.TimeReversed()),
    "R": lambda: recurrent_gradient(time_reversed(simulate), jnp.float64),
    "E": lambda: yin_yang_step(time_reversed(simulate_layer), *points(), jnp.float32, capacities=(4, 2)),
    "M": lambda: mnist_gradient(ss.TimeReversed(), jnp.float32),
    "S": lambda: surrogate_training_step(run_on_grid_natively, jnp.float32),
}


def described():
    """The card as XLA's compiler wants it described."""
    facts = "\n".join(f"  {name}: {number}" for name, number in H200.items())
    capability = "  cuda_compute_capability { major: 9 }"
    rest = 'platform_name: "CUDA"\ndnn_version_info { major: 9 minor: 10 }\ndevice_description_str: "NVIDIA H200"'
    return f"gpu_device_info {{\n{facts}\n{capability}\n}}\n{rest}\n"


def loops(text):
    """Of every loop of a compiled program: its rounds, if they are known, and the kernels of one."""
    bodies, here = {}, None
    for line in text.splitlines():
        if begun := re.match(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\{\s*$", line):
            here = bodies.setdefault(begun[1], [])
        elif here is not None and "=" in line:
            here.append(line)
    counts = {
        name: sum(bool(re.search(rf"= [^=]*? ({STARTED})\(", one)) for one in body) for name, body in bodies.items()
    }
    for line in (one for body in bodies.values() for one in body):
        if loop := re.search(r" while\(.*body=%?([\w.\-]+)", line):
            rounds = re.search(r'known_trip_count":\{"n":"(\d+)"', line)
            yield int(rounds[1]) if rounds else None, counts[loop[1]]


def main(names):
    UNROLL["cpu"] = UNROLL["gpu"]  # as where a GPU is the default
    workloads = LAUNCHED if "--launched" in names else WORKLOADS
    if workloads is LAUNCHED:
        on_gpu.present_driver = lambda: Driver(capabilities=((9, 0),))  # as if an H200 were here
        on_gpu.launch_kernels()
    settings = {"target_config": described(), "topology": "1x1x1"}
    card = topologies.get_topology_desc(platform="cuda", topology_name="h200", **settings)
    place = NamedSharding(Mesh(np.array(card.devices), ("card",)), PartitionSpec())
    jax.config.update("jax_enable_x64", True)
    for name in (one for one in names if one in workloads):
        function, arguments = workloads[name]()
        shapes = jax.tree.map(
            lambda one: jax.ShapeDtypeStruct(jnp.shape(one), jnp.result_type(one), sharding=place), arguments
        )
        program = jax.jit(function, in_shardings=place, out_shardings=place).lower(*shapes).compile()
        memory = program.memory_analysis().temp_size_in_bytes / 2**20
        text = program.as_text()
        calls = text.count(f'custom_call_target="{on_gpu.TARGET}"')
        print(
            f"{name}: {memory:.1f} MiB; {calls} launches; rounds and kernels of loops: {list(loops(text))}", flush=True
        )


if __name__ == "__main__":
    main(sys.argv[1:])
