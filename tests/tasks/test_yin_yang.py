"""The Yin-Yang set: symmetry, classes and latencies."""

import numpy as np

from stablespike.tasks.yin_yang import yin_yang, yin_yang_class


def test_known_points():
    points = np.array([[0.75, 0.5], [0.25, 0.5], [0.5, 0.9], [0.5, 0.1], [0.25, 0.7], [0.75, 0.3]])
    np.testing.assert_array_equal(yin_yang_class(points), [2, 2, 1, 0, 1, 0])


def test_turning_the_disc_by_half_exchanges_yin_and_yang():
    points = np.random.default_rng(0).uniform(0.15, 0.85, (2000, 2))
    classes, turned = yin_yang_class(points), yin_yang_class(1 - points)
    dots = classes == 2
    np.testing.assert_array_equal(turned[dots], 2)
    np.testing.assert_array_equal(turned[~dots], 1 - classes[~dots])


def test_latencies_are_points_of_the_disc_and_their_mirror_images():
    task = yin_yang(np.random.default_rng(1), 500, scale=2.0)
    assert task.times.shape == (500, 5)
    np.testing.assert_allclose(task.times[:, :2] + task.times[:, 2:4], 2.0)
    assert (task.times[:, 4] == 0).all()
    assert (np.hypot(*(task.times[:, :2] / 2 - 0.5).T) <= 0.5).all()
    np.testing.assert_array_equal(task.labels, yin_yang_class(task.times[:, :2] / 2))


def test_classes_are_equally_frequent():
    counts = np.bincount(yin_yang(np.random.default_rng(2), 3000).labels)
    assert np.abs(counts - 1000).max() < 4 * np.sqrt(3000 * 2 / 9)
