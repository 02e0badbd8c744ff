"""The onset of chaos is found where it is put, and what is varied is what differs."""

import math

import numpy as np
import pandas as pd
import pytest

from studies.phase_diagram import Sweep, judged, medians_of, onset
from studies.strong_coupling import NEURONS

LOOPS = (1.0, 2.0, 4.0, 8.0)


def test_the_onset_lies_where_a_line_in_the_logarithm_passes():
    exponents = pd.Series([np.log(loop / 3) for loop in LOOPS], index=LOOPS)
    assert onset(exponents, 0.0) == pytest.approx(3)
    assert onset(exponents, -5.0) == 1
    assert onset(exponents, 5.0) == math.inf


@pytest.mark.parametrize(("varied", "value"), [("neurons", 16.0), ("mean", 2.0), ("present", 0.1)])
def test_one_thing_is_varied(varied, value):
    couplings = Sweep(varied, [value], LOOPS, neurons=24).couplings(value)
    assert [one.loop for one in couplings] == list(LOOPS)
    for one in couplings:
        assert getattr(one, varied) == value
        assert one.deviation == 0.5
        assert varied == "neurons" or one.neurons == 24


@pytest.mark.parametrize(("inhibition", "deviation"), [(0.0, 1.0), (0.5, 0.75), (1.0, 0.5)])
def test_with_less_inhibition_weights_deviate_more(inhibition, deviation):
    [one] = Sweep("inhibition", [inhibition], [4.0]).couplings(inhibition)
    assert (one.inhibition, one.deviation) == (inhibition, deviation)


def test_what_cannot_be_varied_is_named():
    with pytest.raises(ValueError, match="'size' is none of loop, neurons"):
        Sweep("size", [1.0], LOOPS).couplings(1.0)


def test_a_network_that_ran_away_is_in_no_median():
    """Exponents of QIF networks that pass the bound at the strength 2, twice as late for each doubling of the size."""

    def row(neuron, varied, value, loop, seed):
        size = value if varied == "neurons" else 16
        slope = 0.1 if neuron == "QIF" else 0.01
        lost = seed == 3
        exponent = np.nan if lost else slope * np.log2(loop * 16 / size) + 0.05 - slope + 0.001 * (seed - 1)
        names = {"neuron": neuron, "varied": varied, "value": value, "loop": loop, "seed": seed}
        return names | {"exponent": exponent, "rate": np.nan if lost else value, "reason": "ran away" if lost else ""}

    places = [("mean", 1.0), ("mean", 4.0), ("neurons", 16.0), ("neurons", 32.0)]
    rows = pd.DataFrame(
        [row(n, varied, value, loop, s) for n in NEURONS for varied, value in places for loop in LOOPS for s in (1, 3)]
    )
    found = judged(rows)
    assert not medians_of(rows).isna().any(axis=None)
    assert found["onsets"] == {"16": pytest.approx(2), "32": pytest.approx(4)}
    assert found["ratio of onsets"] == pytest.approx(2)
    assert found["ratio per spike"] == pytest.approx(4)
    assert found["order"] == pytest.approx(0.07)
    assert found["chaos"] == pytest.approx(0.15)
