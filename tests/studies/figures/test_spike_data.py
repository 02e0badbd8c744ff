"""The figures of sound, data sets and recognition are drawn from tables alone."""

import numpy as np
import pandas as pd

from studies.figures.datasets import datasets_figure
from studies.figures.sound_to_spikes import sound_to_spikes_figure
from studies.figures.spoken_digits import spoken_digits_figure

SPIKES = pd.DataFrame({"time": [0.1, 0.2], "channel": [0, 3]})


def test_sets_that_are_there_are_drawn_and_no_others():
    figure = datasets_figure({"here": SPIKES, "away": None}, {"here": 4})
    first, *others = figure.axes
    assert first.get_title(loc="left") == "here"
    assert len(first.collections[0].get_offsets()) == 2
    assert first.get_ylim() == (3.5, -0.5)  # downwards, as in the figure of the cochlea
    assert not any(axes.axison for axes in others)


def test_a_sound_is_drawn_at_all_stages():
    wave = np.sin(np.arange(40)).reshape(4, 10)
    delays = pd.DataFrame({"frequency": [1e4, 1e3], "delay": [0.001, 0.004]})
    bands = {name: pd.DataFrame({"band": [1, 2], "spikes": [3, 4], "spikes_sd": [1, 1]}) for name in ("here", "there")}
    figure = sound_to_spikes_figure(wave[0], wave, wave**2, SPIKES, delays, bands, duration=0.3, channels=8)
    panels = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    assert (len(panels), len(figure.axes)) == (6, 8)  # velocity and probability have a scale
    assert panels[3].get_ylim() == (8, 0)  # base at the top
    assert len(panels[5].get_legend().get_texts()) == 2


def test_recognition_is_drawn_beside_its_baselines():
    rows = [(0, 0.05), (1, 0.5)]
    history = pd.DataFrame(
        [
            {"dataset": "one", "kind": kind, "seed": 1, "epoch": epoch, "test_accuracy": accuracy}
            for kind in ("exact", "surrogate")
            for epoch, accuracy in rows
        ]
    )
    costs = pd.DataFrame(
        {"dataset": "one", "kind": ["exact", "surrogate"], "seed": 1, "dense": [1e6, 2e6], "effective": [1e4, 2e4]}
    )
    figure = spoken_digits_figure(history, costs, {"one": (0.4, 0.05)})
    curves, bars = figure.axes
    assert [line.get_ydata()[-1] for line in curves.lines] == [50, 50, 40, 5]
    assert [patch.get_width() for patch in bars.patches] == [1, 2, 0.01, 0.02]
    assert bars.get_xlim()[0] == 0
    assert len(figure.legends[0].get_texts()) == 4
