"""The one harness of all benchmarks: the clock's time, the processor's time, and memory by the compiler's analysis."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PyTree

Workload = tuple[Callable, tuple]


class Passed(NamedTuple):
    """What a call returned, and the seconds that it took: by the clock, and of the processor, all threads together.

    The processor's time hardly depends on what else the machine has to do.
    """

    result: Any
    clock: float
    processor: float


def timed(run: Callable, *arguments: Any) -> Passed:
    """Call `run(*arguments)` and wait for its arrays."""
    clock, processor = time.perf_counter(), time.process_time()
    result = jax.block_until_ready(run(*arguments))
    return Passed(result, time.perf_counter() - clock, time.process_time() - processor)


class Cost(eqx.Module):
    """What a workload costs: seconds of each repeat by the clock (`times`) and of the processor (`processor_times`).

    `compile_time` in seconds, `memory` in bytes (temporary, as the compiler says), `result` of the first call.
    """

    times: list[float]
    processor_times: list[float]
    compile_time: float
    memory: int
    result: PyTree

    @property
    def median(self) -> float:
        """Median time of a call by the clock, in seconds."""
        return float(np.median(self.times))

    @property
    def processor_median(self) -> float:
        """Median processor time of a call, in seconds."""
        return float(np.median(self.processor_times))


def cost(workload: Workload, *, repeats: int = 9, compiled: bool = True) -> Cost:
    """Run a workload once, which is not counted, then `repeats` times.

    It is compiled as a whole, unless `compiled` is false: then the function is called as it is, and the first call is
    its compilation.
    """
    function, arguments = workload
    compile_time, memory = 0.0, 0
    if compiled:
        function, compile_time, _ = timed(lambda: jax.jit(workload[0]).lower(*arguments).compile())
        analysis = function.memory_analysis()
        memory = analysis.temp_size_in_bytes if analysis else 0
    first = timed(function, *arguments)
    passed = [timed(function, *arguments) for _ in range(repeats)]
    return Cost(
        times=[one.clock for one in passed],
        processor_times=[one.processor for one in passed],
        compile_time=compile_time if compiled else first.clock,
        memory=memory,
        result=first.result,
    )
