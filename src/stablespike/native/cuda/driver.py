"""The functions of NVIDIA's driver that load and launch kernels, and what it means when one of them refuses.

The driver comes with the GPU and is looked for when it is first needed. Code is loaded as a library (CUDA 12), which
belongs to no context: the driver brings it to each GPU on which it is launched, and the stream says which one that is.
"""

import ctypes
from functools import cache
from typing import NamedTuple

import numpy as np

LIBRARY = "libcuda.so.1"
MAJOR, MINOR = 75, 76  # attributes of a device: its compute capability
WIDTH = 512  # bytes of a sentence, the closing zero included
DIGITS = b"000"  # in the last sentence they stand for the driver's answer
INSTEAD = "without `launch_kernels()` the recorded rule does this on a GPU"
REASONS = {  # by the driver's answer, a CUresult
    2: "the GPU's memory is full: run fewer trials at a time",
    36: "the driver is older than CUDA 12.0: update it",
    100: "the driver finds no GPU",
    200: "the driver cannot read its code, which is an error of this library: please report it",
    209: "it was compiled for another GPU than the one that it is to run on: make that one visible alone, by "
    "CUDA_VISIBLE_DEVICES, before Python starts",
    218: "the driver's compiler takes its PTX for faulty, which is an error of this library: please report it",
    221: "the driver has no compiler for PTX: install NVIDIA's ptxas (the package nvidia-cuda-nvcc)",
    222: "the driver is older than the PTX of the compiler in use: update the driver, or install NVIDIA's ptxas (the "
    "package nvidia-cuda-nvcc) beside it",
    223: "the driver may not compile PTX here: unset CUDA_DISABLE_PTX_JIT, or install NVIDIA's ptxas (the package "
    "nvidia-cuda-nvcc)",
    500: "its name is not in its code, which is an error of this library: please report it",
    700: "a kernel before it left its memory, and what was computed since is lost: please report it",
    701: "a block of its threads needs more registers or shared memory than this GPU has",
    719: "a kernel before it failed, and what was computed since is lost: please report it",
}
ABSENT, UNKNOWN, MISFIT = -1, -2, -3  # what this library answers in place of the driver
OWN_REASONS = {
    ABSENT: f"there is no NVIDIA driver ({LIBRARY}) on this machine",
    UNKNOWN: "the program was lowered by another process: lower it in the one that runs it",
    MISFIT: "its arrays are not those that it was compiled for, which is an error of this library: please report it",
}


class Driver(NamedTuple):
    """Addresses of `cuLibraryLoadData`, `cuLibraryGetKernel` and `cuLaunchKernel` (0 = there is none), and the compute
    capabilities of the GPUs that the driver sees.
    """

    load: int = 0
    kernel: int = 0
    launch: int = 0
    capabilities: tuple[tuple[int, int], ...] = ()


@cache
def present_driver() -> Driver:
    """The driver of this machine; one without functions where there is none, or one older than CUDA 12.0."""
    try:
        library = ctypes.CDLL(LIBRARY)
        names = "cuLibraryLoadData", "cuLibraryGetKernel", "cuLaunchKernel"
        load, kernel, launch = (ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0 for name in names)
    except (OSError, AttributeError):
        return Driver()
    return Driver(load, kernel, launch, _capabilities(library))


def _capabilities(library: ctypes.CDLL) -> tuple[tuple[int, int], ...]:
    count, found = ctypes.c_int(), []
    if library.cuInit(0) or library.cuDeviceGetCount(ctypes.byref(count)):
        return ()
    for device in range(count.value):
        numbers = ctypes.c_int(), ctypes.c_int()
        if any(
            library.cuDeviceGetAttribute(ctypes.byref(number), which, device)
            for number, which in zip(numbers, (MAJOR, MINOR), strict=True)
        ):
            return ()
        found.append((numbers[0].value, numbers[1].value))
    return tuple(found)


def sentences(kernel: str) -> tuple[np.ndarray, np.ndarray]:
    """The answers that have a sentence, and the sentences `[answers + 1, WIDTH]` of a kernel as C strings.

    The last one is for any other answer, which takes the place of its DIGITS.
    """
    reasons = REASONS | OWN_REASONS
    texts = [f"{reason} (CUresult {answer})" if answer > 0 else reason for answer, reason in reasons.items()]
    texts.append(f"the driver refused (CUresult {DIGITS.decode()})")
    rows = np.zeros((len(texts), WIDTH), np.uint8)
    for row, text in zip(rows, texts, strict=True):
        line = f"{kernel} could not be launched on the GPU: {text}; {INSTEAD}.".encode()[: WIDTH - 1]
        row[: len(line)] = np.frombuffer(line, np.uint8)
    return np.array(list(reasons), np.int64), rows
