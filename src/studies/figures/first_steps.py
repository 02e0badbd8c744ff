"""The figure of `first-steps`: rasters of three neuron models and a training curve."""

import pandas as pd
from matplotlib.figure import Figure

from stablespike.figures.rasters import plot_raster
from stablespike.figures.style import BLUE, FULL_WIDTH, letter_panels, new_figure


def first_steps_figure(rasters: pd.DataFrame, errors: pd.DataFrame, *, neurons: int, duration: float) -> Figure:
    """Compose a raster per `model` (`rasters`: `model`, `neuron`, `time`) and the error (`errors`: `step`, `error`)."""
    models = list(rasters["model"].unique())
    figure = new_figure(FULL_WIDTH, 1.9)
    panels = figure.subplots(1, len(models) + 1)
    for model, axes in zip(models, panels, strict=False):
        plot_raster(
            rasters[rasters["model"] == model].assign(layer="neurons"),
            axes,
            sizes={"neurons": neurons},
            duration=duration,
        )
        axes.set_yticks([])
        axes.set_title(model)
    panels[0].set_ylabel("neuron")
    panels[-1].plot(errors["step"], errors["error"], color=BLUE)
    panels[-1].set(yscale="log", xlabel="step", ylabel="squared error")
    letter_panels([*panels], left=-10.0)
    return figure
