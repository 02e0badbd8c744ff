"""The figure of `handwritten-digits`: a silent network before, and after it learned by exact gradients."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from stablespike.figures.rasters import plot_raster
from stablespike.figures.style import FULL_WIDTH, letter_panels, new_figure
from stablespike.figures.voltages import plot_output_voltages
from studies.figures.training_curves import plot_error, plot_silent_fraction, plot_spikes_per_neuron


def handwritten_digits_figure(
    rasters: pd.DataFrame,
    voltages: pd.DataFrame,
    history: pd.DataFrame,
    *,
    sizes: Mapping[str, int] | None = None,
    reference: tuple[float, str] | None = None,
) -> Figure:
    """Compose rasters and output voltages of one trial before and after training, and the training curves.

    `rasters`: `layer`, `neuron` (from 0 within its layer), `time`, `stage`, layers from the input upwards, the last one
    the output. `voltages`: `time`, `neuron`, `voltage`, `label`, `stage`, from the start to the end of the trial.
    `history`: `epoch`, `seed`, `kind`, `error` (a fraction), `silent_fraction`, `spikes_per_neuron`. The two stages are
    taken in the order of `voltages`. `sizes` gives the number of neurons of each layer (else the largest index seen
    plus 1); `reference` is a published error with its source.
    """
    figure = new_figure(FULL_WIDTH, 6.0)
    trials, curves = figure.add_gridspec(2, 1, height_ratios=(3.8, 1.9))
    sizes = sizes or (rasters.groupby("layer", sort=False)["neuron"].max() + 1).to_dict()
    output = list(sizes)[-1]
    upper, middle = trials.subgridspec(2, 2, height_ratios=(2.4, 1.6)).subplots(sharex=True, sharey="row")
    for stage, raster_axes, voltage_axes in zip(voltages["stage"].unique(), upper, middle, strict=True):
        spikes, traces = rasters[rasters["stage"] == stage], voltages[voltages["stage"] == stage]
        plot_raster(spikes, raster_axes, sizes=sizes, duration=traces["time"].max())
        raster_axes.set_title(stage)
        raster_axes.set_xlabel("")
        plot_output_voltages(traces, voltage_axes, spikes=spikes[spikes["layer"] == output])
    middle[1].set_ylabel("")
    lower = curves.subgridspec(1, 3, width_ratios=(1.3, 1, 1)).subplots()
    plot_error(history, lower[0], reference=reference)
    activity = history.groupby(["epoch", "seed"], as_index=False)[["silent_fraction", "spikes_per_neuron"]].mean()
    plot_silent_fraction(activity, lower[1])
    plot_spikes_per_neuron(activity, lower[2])
    letter_panels([*upper, *middle, *lower])
    return figure
