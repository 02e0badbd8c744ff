"""Arguments that the type checker of the tests would refuse first: a user, who has none, gets one sentence.

All cases run in one fresh process without the checker; each prints what it raised.
"""

import json
import subprocess
import sys

import pytest

BEGIN = """
import json, jax, jax.numpy as jnp, numpy as np, optax
jax.config.update("jax_enable_x64", True)
import stablespike as ss
from stablespike.dynamics.spikes import Spikes
from stablespike.learning.training import fit, gradient_training, shuffled_batches
from stablespike.tasks.augmentation import TimeJitter
from stablespike.tasks.recordings import as_events, binned, cut, gather, merge_channels, select

trains = [(np.array([0.1, 0.2]), np.array([0, 2])), (np.zeros(0), np.zeros(0, int))]
one = gather(trains, np.array([0, 1]), None, "ab", 3)

network = ss.Network(ss.Layer(ss.LIF(1.0), ss.Dense(jnp.eye(2))))
by_events, on_grid = (ss.as_step(network, on=on, window=0.5) for on in (ss.Events(), ss.Grid(0.5)))
events = Spikes(jnp.ones(1), jnp.zeros(1, int))

def train(**options):
    init, step = gradient_training(lambda p, batch, key: (jnp.mean((p - batch) ** 2), ((), None)), optax.sgd(0.1))
    options = {"epochs": 1, "batch_size": 2, "evaluate": lambda p: {}} | options
    return fit(step, init(jnp.zeros(3), jax.random.key(0)), jnp.ones((4, 3)), **options)
"""

CASES = {
    "Spikes([0.1], [0])": "times of spikes must be an array, not list: use jnp.asarray.",
    "Spikes(jnp.ones(1), [0])": "sources of spikes must be an array, not list: use jnp.asarray.",
    "Spikes(None, None)": "times of spikes must be an array, not NoneType: use jnp.asarray.",
    "train(epochs=1.5)": "epochs must be a whole number and at least 1, not 1.5.",
    "train(epochs='x')": "epochs must be a whole number and at least 1, not 'x'.",
    "train(epochs=-1)": "epochs must be a whole number and at least 1, not -1.",
    "train(batch_size='x')": "batch_size must be a whole number and at least 1, not 'x'.",
    "train(batch_size=2.0)": "batch_size must be a whole number and at least 1, not 2.0.",
    "train(batch_size=0)": "batch_size must be a whole number and at least 1, not 0.",
    "shuffled_batches(jax.random.key(0), 4, None)": "batch_size must be a whole number and at least 1, not None.",
    "select(one, np.array([0, 2]))": "There is no trial [2] among 2 recordings.",
    "select(one, [-3])": "There is no trial [-3] among 2 recordings.",
    "select(one, np.array([True]))": "Truth values [1] choose none of 2 recordings.",
    "select(one, 'x')": "Trials are chosen by a list of indices or of truth values, not by <U1 ().",
    "select(one, np.array([0.5]))": "Trials are chosen by a list of indices or of truth values, not by float64 (1,).",
    "one.trial(None)": "trial must be a whole number, not None.",
    "one.trial(0.5)": "trial must be a whole number, not 0.5.",
    "binned(one, 'a', 1.0)": "steps must be a whole number, not 'a'.",
    "binned(one, 2.5, 1.0)": "steps must be a whole number, not 2.5.",
    "binned(one, 2, 'a')": "duration must be a number, not 'a'.",
    "binned(one, 10**12, 1.0)": (
        "Counts [2, 1000000000000, 3] need 6.71e+04 GiB, more than there is: take fewer steps, merge channels or "
        "select trials."
    ),
    "merge_channels(one, 'a')": "channel_count must be a whole number, not 'a'.",
    "as_events(one, room=float('nan'))": "room must be a whole number, not nan.",
    "as_events(one, time_unit=None)": "time_unit must be a number, not None.",
    "cut(one, None)": "duration must be a number, not None.",
    "on_grid.drives(events, {})": "windows must be a whole number and at least 1, not a dict.",
    "on_grid.drives(events, 'x')": "windows must be a whole number and at least 1, not 'x'.",
    "by_events.drives(events, 1.5)": "windows must be a whole number and at least 1, not 1.5.",
    "TimeJitter('x')": "deviation must be a number, not 'x'.",
}

END = """
said = {}
for case in CASES:
    try:
        eval(case)
        said[case] = "nothing"
    except ValueError as error:
        said[case] = str(error)
    except Exception as error:
        said[case] = repr(error)
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said():
    script = f"{BEGIN}\nCASES = {list(CASES)!r}\n{END}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("case", CASES)
def test_what_can_not_be_meant_is_one_sentence(case, said):
    assert said[case] == CASES[case]
