"""A neuron that is silent without pseudospikes is deaf, and owes what it has for targets."""

from studies import flat_timing


def test_silent_neurons_are_deaf_and_what_is_owed_is_left():
    rows = flat_timing.halted_rows("LIF", 1, 4, 4)
    assert rows.step.tolist() == [0, 4]
    assert (rows.deaf == rows.silent).all()
    assert (rows.silent > 0).any()
    assert rows.theirs.between(0, 1).all()
    assert (rows.owed >= rows.silent).all()
