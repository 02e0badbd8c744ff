"""The figure of flossed speech recognisers has a row per depth, and shows what its tables say."""

import itertools

import pandas as pd

from studies.figures.flossed_speech import flossed_speech_figure


def test_every_depth_has_a_row():
    keys = [
        {"depth": depth, "course": course, "seed": seed}
        for depth, course, seed in itertools.product((1, 2), ("plain", "before"), (1, 2))
    ]
    history = pd.concat([pd.DataFrame({"epoch": [0, 1], "test_accuracy": [0.1, 0.4]}).assign(**key) for key in keys])
    staged = [key | {"stage": stage} for key in keys for stage in ("start", "end")]
    spectra = pd.concat(
        [pd.DataFrame({"layer": [1, 1], "index": [1, 2], "exponent": [-0.1, -0.2]}).assign(**key) for key in staged]
    )
    norms = pd.concat([pd.DataFrame({"distance": [2, 1], "norm": [0.1, 1.0]}).assign(**key) for key in staged])
    results = pd.DataFrame([key | {"spikes": 3.0} for key in staged])
    axes = flossed_speech_figure(history, spectra, norms, results, 0.05).axes
    assert len(axes) == 8
    assert [panel.get_title(loc="left") for panel in axes[::4]] == ["one layer", "2 layers"]
    assert [text.get_text() for text in axes[0].get_legend().get_texts()] == ["plain", "before"]
    assert list(axes[0].get_lines()[0].get_ydata()) == [10, 40]
    assert len(axes[1].get_lines()) == 5  # both stages of both courses, and zero
    assert len(axes[3].get_lines()) == 4
