"""How the kernels are compiled. All of them use one of these two decorators.

The flags:
    nogil: the kernel releases Python's lock, so that threads really run side by side.
    cache: the machine code is kept on disk; only the first call on a machine compiles.
    error_model="numpy": a division by zero gives infinity, as in numpy, and costs no branch.
    contract: a * b + c may become one instruction (a fused multiply-add).
    nsz: the sign of zero does not matter.
Numba's full fast-math is not used: it may reorder sums and assume that no value is NaN. The order
of a sum decides its last bits, and the same scene must always give the same bits. (Even the order
of two independent lines in a kernel can decide which product becomes part of a fused multiply-add.
So move lines with care, and compare the bits before and after.)
"""

from numba import njit

_FLAGS = {"error_model": "numpy", "fastmath": {"contract", "nsz"}}

kernel = njit(nogil=True, cache=True, **_FLAGS)  # called from Python or from another kernel
inline = njit(forceinline=True, **_FLAGS)  # a piece of a kernel, pasted in where it is called
