"""Exponents of one network on a grid, measured along it with a tangent vector and predicted from its run."""

import time

import jax

import stablespike as ss


def exponents_of(
    network: ss.Network, inputs: ss.Spikes, on: ss.Grid, *, duration: float, transient: float, seed: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Measured exponent with its error, the predicted one, and that by variances, with spikes; the seconds of each.

    Times in units of tau, the network's time constant; exponents in nats per tau, the rate in spikes per neuron and
    tau. Seconds are those of the clock, compilation included.
    """
    steps, step = round(duration / float(on.dt)), ss.as_step(network, on=on, window=on.dt)
    left_out, began = round(transient / float(on.dt)), time.perf_counter()
    spectrum = ss.lyapunov_spectrum(
        step, step.rest(), step.drives(inputs, steps), transient=left_out, count=1, key=jax.random.key(seed),
        duration=step.duration,
    )  # fmt: skip
    rate, measured = step.require_ran(spectrum.state.system, steps), time.perf_counter()
    predicted = ss.mean_field_exponent(network, inputs, duration, on=on, transient=left_out)
    seconds = {"measuring": measured - began, "predicting": time.perf_counter() - measured}
    by_variances = ss.mean_field_exponent(network, inputs, duration, on=on, transient=left_out, lags=0)
    values = {"measured": float(spectrum.exponents[0]), "error": float(spectrum.standard_errors[0]), "rate": rate}
    return values | {"predicted": predicted, "by_variances": by_variances}, seconds
