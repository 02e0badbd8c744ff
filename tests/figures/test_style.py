"""The palette can be told apart without colour, and one meaning has one look."""

import itertools

import pytest
from matplotlib.colors import to_rgb

from stablespike.figures.style import BLUE, GREY, INK, ORDERED, PALE, RED, YELLOW, looks_of


def lightness(colour):
    """CIE L*, from 0 (black) to 100 (white)."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    luminance = sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return 116 * luminance ** (1 / 3) - 16 if luminance > 0.008856 else 903.3 * luminance


@pytest.mark.parametrize("colours", [(INK, BLUE, RED, GREY, YELLOW, PALE), ORDERED])
def test_no_two_colours_are_one_grey(colours):
    assert lightness("#000000") == 0
    assert lightness("#ffffff") == pytest.approx(100)
    levels = sorted(map(lightness, colours))
    assert min(above - below for below, above in itertools.pairwise(levels)) >= 10


def test_the_neuron_is_the_hue_and_the_gradient_the_line():
    looks = looks_of(["LIF exact", "QIF exact", "LIF surrogate", "LIF surrogate, 40 ms", "BRF surrogate", "exact"])
    assert looks["LIF exact"]["color"] == looks["LIF surrogate"]["color"] == looks["exact"]["color"] == RED
    assert looks["QIF exact"]["color"] == BLUE
    assert looks["LIF exact"]["linestyle"] == looks["QIF exact"]["linestyle"] == "-"
    surrogates = [looks["LIF surrogate"], looks["LIF surrogate, 40 ms"]]
    assert len({str(look["linestyle"]) for look in surrogates} | {"-"}) == 3
    assert len({look["marker"] for look in surrogates} | {"o"}) == 3
    assert looks["BRF surrogate"]["linestyle"] == looks["LIF surrogate"]["linestyle"]
