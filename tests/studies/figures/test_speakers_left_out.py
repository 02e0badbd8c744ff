"""The figure of `speakers-left-out` draws every kind on every fold, speakers by their difficulty."""

import pandas as pd

from studies.figures.speakers_left_out import speakers_left_out_figure


def test_speakers_stand_by_their_difficulty_and_the_official_split_last():
    linear = pd.Series({"official": 0.6, "theo": 0.5, "lucas": 0.2})
    kinds = ["LIF exact", "QIF exact"]
    rows = [
        {"kind": kind, "seed": fold, "epoch": epoch, "loss": 2.0}
        for kind in kinds
        for fold in linear.index
        for epoch in (1, 2)
    ]
    table = pd.DataFrame([{"kind": kind, "fold": fold, "test": 0.3} for kind in kinds for fold in linear.index])
    figure = speakers_left_out_figure(pd.DataFrame(rows), table, linear, 0.1, "official")
    curves, ends = figure.axes
    assert [text.get_text() for text in ends.get_xticklabels()] == ["lucas", "theo", "official"]
    assert {line.get_label() for line in curves.lines} >= set(kinds)
    assert len([line for line in ends.lines if line.get_marker() == "o"]) == len(kinds)
