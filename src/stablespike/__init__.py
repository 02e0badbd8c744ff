"""Which spiking neural networks can be trained by gradient descent, how efficiently, and what decides it.

`import stablespike as ss` is the door: every public name below, bound when it is first used, so that the import is
quick and loads no JAX. Programs that want float64 spike times switch on `jax_enable_x64` themselves. Importing changes
one setting: since jaxlib 0.10.2 XLA hands sums to a library that gets some of them wrong on processors
(`dynamics.compiler`), which `XLA_FLAGS` tells it not to do.
"""

import importlib
import os
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

_OWN_SUMS = "--xla_cpu_experimental_ynn_fusion_type="
_FAULTY = ("0.10.2", "0.11.", "0.12.0")  # and they know the flag; a program ends at one that its XLA does not know
if version("jaxlib").startswith(_FAULTY) and _OWN_SUMS not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_OWN_SUMS}".strip()

_PLACES = {
    # neurons
    "AbstractNeuron": "stablespike.dynamics.neurons.neuron",
    "LIF": "stablespike.dynamics.neurons.lif",
    "QIF": "stablespike.dynamics.neurons.qif",
    "Theta": "stablespike.dynamics.neurons.theta",
    "OscillatoryLIF": "stablespike.dynamics.neurons.oscillatory_lif",
    "GeneralLIF": "stablespike.dynamics.neurons.general_lif",
    "GeneralQIF": "stablespike.dynamics.neurons.general_qif",
    "Refractory": "stablespike.dynamics.neurons.refractory",
    "NumericalNeuron": "stablespike.dynamics.neurons.numerical",
    "ExponentialIF": "stablespike.dynamics.neurons.numerical_models",
    "AdaptiveLIF": "stablespike.dynamics.neurons.numerical_models",
    "AdaptiveQIF": "stablespike.dynamics.neurons.numerical_models",
    "Izhikevich": "stablespike.dynamics.neurons.numerical_models",
    "LeakyReadout": "stablespike.dynamics.neurons.readout",
    "ShapedReadout": "stablespike.dynamics.neurons.readout",
    "initial_states": "stablespike.dynamics.neurons.neuron",
    "check_neuron": "stablespike.dynamics.neurons.check",
    # cells on a grid
    "GridLIF": "stablespike.dynamics.grid.cells",
    "AdaptiveGridLIF": "stablespike.dynamics.grid.cells",
    "BinaryCell": "stablespike.dynamics.grid.cells",
    "GridLeakyReadout": "stablespike.dynamics.grid.cells",
    "SymplecticAdaptiveLIF": "stablespike.dynamics.grid.two_state_cells",
    "BalancedResonateAndFire": "stablespike.dynamics.grid.two_state_cells",
    "ComplexLIF": "stablespike.dynamics.grid.two_state_cells",
    "ResetToZero": "stablespike.dynamics.grid.resets",
    "ResetBySubtraction": "stablespike.dynamics.grid.resets",
    "Detached": "stablespike.dynamics.grid.resets",
    # networks
    "Network": "stablespike.dynamics.network",
    "Layer": "stablespike.dynamics.network",
    "Dense": "stablespike.dynamics.connections",
    "Sparse": "stablespike.dynamics.connections",
    "Delayed": "stablespike.dynamics.connections",
    "fixed_in_degree": "stablespike.dynamics.sparse_weights",
    "from_matrix": "stablespike.dynamics.sparse_weights",
    # simulation
    "simulate": "stablespike.simulation",
    "Events": "stablespike.dynamics.ways",
    "Grid": "stablespike.dynamics.ways",
    "Spikes": "stablespike.dynamics.spikes",
    "in_order": "stablespike.dynamics.spikes",
    "Trains": "stablespike.dynamics.run",
    "Run": "stablespike.dynamics.run",
    "Status": "stablespike.dynamics.status",
    "SimulationError": "stablespike.dynamics.status",
    "raise_unless_ok": "stablespike.dynamics.status",
    # gradient rules and surrogates
    "Recorded": "stablespike.learning.gradients.rules",
    "Checkpointed": "stablespike.learning.gradients.through_time",
    "TimeReversed": "stablespike.learning.gradients.rules",
    "ParallelInTime": "stablespike.learning.gradients.rules",
    "Truncated": "stablespike.learning.gradients.through_time",
    "EProp": "stablespike.learning.gradients.rules",
    "RealTimeRecurrent": "stablespike.learning.gradients.rules",
    "SuperSpike": "stablespike.learning.surrogates",
    "Sigmoid": "stablespike.learning.surrogates",
    "Arctan": "stablespike.learning.surrogates",
    "Triangle": "stablespike.learning.surrogates",
    "MultiGaussian": "stablespike.learning.surrogates",
    "PerTime": "stablespike.learning.surrogates",
    "SurrogateSpike": "stablespike.learning.surrogates",
    # training
    "gradient_training": "stablespike.learning.training",
    "fit": "stablespike.learning.training",
    "descend": "stablespike.learning.training",
    "accuracy_on": "stablespike.learning.training",
    "fit_until": "stablespike.learning.early_stopping",
    "Patience": "stablespike.learning.early_stopping",
    "Watch": "stablespike.learning.soundness",
    "classify": "stablespike.learning.classify",
    "judged": "stablespike.learning.classify",
    "verdict": "stablespike.learning.classify",
    "Outputs": "stablespike.learning.classify",
    "mean_over_time": "stablespike.learning.readouts",
    "maximum_over_time": "stablespike.learning.readouts",
    "sum_over_time": "stablespike.learning.readouts",
    "ExponentiallyWeightedMean": "stablespike.learning.readouts",
    "DrivenRates": "stablespike.learning.regularisers",
    "RateBand": "stablespike.learning.regularisers",
    "CountCeiling": "stablespike.learning.regularisers",
    "in_logarithms": "stablespike.learning.coordinates",
    "fluctuation_driven": "stablespike.learning.grid_initialisation",
    "normal_by_fan_in": "stablespike.learning.grid_initialisation",
    # stability
    "as_step": "stablespike.stability.steps",
    "lyapunov_spectrum": "stablespike.stability.lyapunov",
    "covariant_vectors": "stablespike.stability.covariant",
    "Flossing": "stablespike.stability.flossing",
    "network_flossing": "stablespike.stability.flossing",
    "Never": "stablespike.stability.flossing",
    "Before": "stablespike.stability.flossing",
    "Between": "stablespike.stability.flossing",
    "Adaptive": "stablespike.stability.flossing",
    "gradient_dimension": "stablespike.stability.gradient_statistics",
    "gradients_through_time": "stablespike.stability.gradient_statistics",
    "mean_field_exponent": "stablespike.stability.mean_field",
    "critical_sharpness": "stablespike.stability.mean_field",
}

__all__ = ["__version__", *_PLACES]


if TYPE_CHECKING:
    from stablespike.dynamics.connections import Delayed as Delayed
    from stablespike.dynamics.connections import Dense as Dense
    from stablespike.dynamics.connections import Sparse as Sparse
    from stablespike.dynamics.grid.cells import AdaptiveGridLIF as AdaptiveGridLIF
    from stablespike.dynamics.grid.cells import BinaryCell as BinaryCell
    from stablespike.dynamics.grid.cells import GridLeakyReadout as GridLeakyReadout
    from stablespike.dynamics.grid.cells import GridLIF as GridLIF
    from stablespike.dynamics.grid.resets import Detached as Detached
    from stablespike.dynamics.grid.resets import ResetBySubtraction as ResetBySubtraction
    from stablespike.dynamics.grid.resets import ResetToZero as ResetToZero
    from stablespike.dynamics.grid.two_state_cells import BalancedResonateAndFire as BalancedResonateAndFire
    from stablespike.dynamics.grid.two_state_cells import ComplexLIF as ComplexLIF
    from stablespike.dynamics.grid.two_state_cells import SymplecticAdaptiveLIF as SymplecticAdaptiveLIF
    from stablespike.dynamics.network import Layer as Layer
    from stablespike.dynamics.network import Network as Network
    from stablespike.dynamics.neurons.check import check_neuron as check_neuron
    from stablespike.dynamics.neurons.general_lif import GeneralLIF as GeneralLIF
    from stablespike.dynamics.neurons.general_qif import GeneralQIF as GeneralQIF
    from stablespike.dynamics.neurons.lif import LIF as LIF
    from stablespike.dynamics.neurons.neuron import AbstractNeuron as AbstractNeuron
    from stablespike.dynamics.neurons.neuron import initial_states as initial_states
    from stablespike.dynamics.neurons.numerical import NumericalNeuron as NumericalNeuron
    from stablespike.dynamics.neurons.numerical_models import AdaptiveLIF as AdaptiveLIF
    from stablespike.dynamics.neurons.numerical_models import AdaptiveQIF as AdaptiveQIF
    from stablespike.dynamics.neurons.numerical_models import ExponentialIF as ExponentialIF
    from stablespike.dynamics.neurons.numerical_models import Izhikevich as Izhikevich
    from stablespike.dynamics.neurons.oscillatory_lif import OscillatoryLIF as OscillatoryLIF
    from stablespike.dynamics.neurons.qif import QIF as QIF
    from stablespike.dynamics.neurons.readout import LeakyReadout as LeakyReadout
    from stablespike.dynamics.neurons.readout import ShapedReadout as ShapedReadout
    from stablespike.dynamics.neurons.refractory import Refractory as Refractory
    from stablespike.dynamics.neurons.theta import Theta as Theta
    from stablespike.dynamics.run import Run as Run
    from stablespike.dynamics.run import Trains as Trains
    from stablespike.dynamics.sparse_weights import fixed_in_degree as fixed_in_degree
    from stablespike.dynamics.sparse_weights import from_matrix as from_matrix
    from stablespike.dynamics.spikes import Spikes as Spikes
    from stablespike.dynamics.spikes import in_order as in_order
    from stablespike.dynamics.status import SimulationError as SimulationError
    from stablespike.dynamics.status import Status as Status
    from stablespike.dynamics.status import raise_unless_ok as raise_unless_ok
    from stablespike.dynamics.ways import Events as Events
    from stablespike.dynamics.ways import Grid as Grid
    from stablespike.learning.classify import Outputs as Outputs
    from stablespike.learning.classify import classify as classify
    from stablespike.learning.classify import judged as judged
    from stablespike.learning.classify import verdict as verdict
    from stablespike.learning.coordinates import in_logarithms as in_logarithms
    from stablespike.learning.early_stopping import Patience as Patience
    from stablespike.learning.early_stopping import fit_until as fit_until
    from stablespike.learning.gradients.rules import EProp as EProp
    from stablespike.learning.gradients.rules import ParallelInTime as ParallelInTime
    from stablespike.learning.gradients.rules import RealTimeRecurrent as RealTimeRecurrent
    from stablespike.learning.gradients.rules import Recorded as Recorded
    from stablespike.learning.gradients.rules import TimeReversed as TimeReversed
    from stablespike.learning.gradients.through_time import Checkpointed as Checkpointed
    from stablespike.learning.gradients.through_time import Truncated as Truncated
    from stablespike.learning.grid_initialisation import fluctuation_driven as fluctuation_driven
    from stablespike.learning.grid_initialisation import normal_by_fan_in as normal_by_fan_in
    from stablespike.learning.readouts import ExponentiallyWeightedMean as ExponentiallyWeightedMean
    from stablespike.learning.readouts import maximum_over_time as maximum_over_time
    from stablespike.learning.readouts import mean_over_time as mean_over_time
    from stablespike.learning.readouts import sum_over_time as sum_over_time
    from stablespike.learning.regularisers import CountCeiling as CountCeiling
    from stablespike.learning.regularisers import DrivenRates as DrivenRates
    from stablespike.learning.regularisers import RateBand as RateBand
    from stablespike.learning.soundness import Watch as Watch
    from stablespike.learning.surrogates import Arctan as Arctan
    from stablespike.learning.surrogates import MultiGaussian as MultiGaussian
    from stablespike.learning.surrogates import PerTime as PerTime
    from stablespike.learning.surrogates import Sigmoid as Sigmoid
    from stablespike.learning.surrogates import SuperSpike as SuperSpike
    from stablespike.learning.surrogates import SurrogateSpike as SurrogateSpike
    from stablespike.learning.surrogates import Triangle as Triangle
    from stablespike.learning.training import accuracy_on as accuracy_on
    from stablespike.learning.training import descend as descend
    from stablespike.learning.training import fit as fit
    from stablespike.learning.training import gradient_training as gradient_training
    from stablespike.simulation import simulate as simulate
    from stablespike.stability.covariant import covariant_vectors as covariant_vectors
    from stablespike.stability.flossing import Adaptive as Adaptive
    from stablespike.stability.flossing import Before as Before
    from stablespike.stability.flossing import Between as Between
    from stablespike.stability.flossing import Flossing as Flossing
    from stablespike.stability.flossing import Never as Never
    from stablespike.stability.flossing import network_flossing as network_flossing
    from stablespike.stability.gradient_statistics import gradient_dimension as gradient_dimension
    from stablespike.stability.gradient_statistics import gradients_through_time as gradients_through_time
    from stablespike.stability.lyapunov import lyapunov_spectrum as lyapunov_spectrum
    from stablespike.stability.mean_field import critical_sharpness as critical_sharpness
    from stablespike.stability.mean_field import mean_field_exponent as mean_field_exponent
    from stablespike.stability.steps import as_step as as_step


def __getattr__(name: str) -> Any:
    """The object of a public name, from its module."""
    if name not in _PLACES:
        raise AttributeError(f"stablespike has no {name!r}; dir(stablespike) lists what it has.")
    found = getattr(importlib.import_module(_PLACES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """All public names."""
    return sorted(__all__)
