"""What native code and JAX code share: the flags of what can go wrong, and how far rounding reaches."""

import enum

FAR = 20.0  # where cosh and sinh are the same number, to a part of exp(-40)
ROUNDING_UNITS = 256  # how far past its spike rounding may carry a neuron that is due


class Flag(enum.IntFlag):
    """What can be wrong with a simulation; a bit has one meaning wherever it is set."""

    BUDGET_EXHAUSTED = 1
    NOT_FINITE = 2
    INPUT_TIMES = 4
    INPUT_SOURCES = 8
    DELIVERIES_EXHAUSTED = 16
    PARAMETERS = 32
    WEIGHTS = 64
    DURATION = 128
    SILENT = 256
    SWEEPS_EXHAUSTED = 512
    DELAY_RANGE = 1024
    LIFTED = 2048
    TIED = 4096
    NOT_DEFINED = 8192
    TWICE_IN_STEP = 16384


# Kernels are compiled with plain numbers.
BUDGET_EXHAUSTED, NOT_FINITE = int(Flag.BUDGET_EXHAUSTED), int(Flag.NOT_FINITE)
INPUT_TIMES, INPUT_SOURCES = int(Flag.INPUT_TIMES), int(Flag.INPUT_SOURCES)
SILENT, SWEEPS_EXHAUSTED, LIFTED = int(Flag.SILENT), int(Flag.SWEEPS_EXHAUSTED), int(Flag.LIFTED)
