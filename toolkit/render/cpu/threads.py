"""Runs numba kernels on as many threads as torch is allowed; results never depend on how many.

Own code, because numba's `parallel=True` keeps a second set of threads beside torch's, with its own
number. Here `torch.set_num_threads` counts for the kernels too.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch

_CPUS = os.cpu_count() or 1
_pool: tuple[int, ThreadPoolExecutor] | None = None


def _forget_pool() -> None:
    global _pool
    _pool = None


os.register_at_fork(after_in_child=_forget_pool)  # a forked child has no worker threads


def num_threads() -> int:
    """Threads to use: `torch.get_num_threads()`, but no more than the machine has."""
    return max(1, min(torch.get_num_threads(), _CPUS))


def run(kernel: Callable, calls: Sequence[tuple]) -> None:
    """Call `kernel(*args)` for every tuple; the kernel must release the GIL and not share outputs.

    Calls are handed out one by one, so a thread that is done takes the next. Waiting threads sleep.
    """
    global _pool
    threads = num_threads()
    if threads == 1 or len(calls) == 1:
        for args in calls:
            kernel(*args)
        return
    if _pool is None or _pool[0] != threads:
        _pool = (threads, ThreadPoolExecutor(threads - 1, thread_name_prefix="rasterizer"))
    queue = iter(calls)

    def work() -> None:
        for args in queue:  # next() on a tuple iterator is atomic under the GIL
            kernel(*args)

    futures = [_pool[1].submit(work) for _ in range(threads - 1)]
    work()  # the calling thread takes its share
    for future in futures:
        future.result()  # raises here what a kernel raised there


def spans(total: int, chunk: int) -> list[tuple[int, int]]:
    """Half-open ranges of at most `chunk` that cover `total`; at least one."""
    return [(k, min(k + chunk, total)) for k in range(0, max(total, 1), chunk)]
