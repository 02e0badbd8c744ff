"""Which spiking neural networks can be trained by gradient descent, how efficiently, and what decides it.

Five rooms: `dynamics` (neurons, networks, simulators), `tasks` (data as spikes), `learning` (gradient rules, readouts,
losses, training), `stability` (Lyapunov spectra, gradient statistics) and `figures`. Importing the package changes no
JAX setting; programs that want float64 spike times switch on `jax_enable_x64` themselves.
"""

__version__ = "0.1.0"
