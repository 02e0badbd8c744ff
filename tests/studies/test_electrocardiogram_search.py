"""`electrocardiogram_search`: draws that fill their ranges, and the same tries for every kind."""

import numpy as np

from studies import electrocardiogram_search as search


def test_each_part_of_each_range_is_met_once():
    number = 8
    draws = search.drawn(number, seed=3)
    for name, (low, high) in search.RANGES.items():
        place = np.log(np.array([one[name] for one in draws]) / low) / np.log(high / low)
        near = np.abs(place * number - np.round(place * number)) < 0.2  # rounded to two digits across an edge
        parts = np.floor(place * number)
        assert len(set(parts[~near])) == (~near).sum()
        assert (place > -0.01).all()
        assert (place < 1.01).all()


def test_every_kind_gets_the_same_tries():
    one, other = (search.tries(kind, 4, 0) for kind in ("LIF", "BRF"))
    assert [each._replace(kind="BRF") for each in one] == other
    assert one[0] == search.Competitor("LIF")
    assert len(set(one)) == 4
    assert search.tries("LIF", 4, 1)[1:] != one[1:]
