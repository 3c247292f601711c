"""Background compilation by Numba, of functions that NumPy serves in the meantime.

A child process of low priority compiles and so fills PyTensor's disk cache; a thread of this process then loads the result in
a second or two. (Compiling in that thread would slow down everything else for a minute: it holds the interpreter's lock.)
"""

__all__ = ["Job", "errors", "pending", "request", "serve", "wait"]

import atexit
import contextlib
import os
import pickle
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from threading import Condition, Thread
from typing import Any, BinaryIO, cast

import cloudpickle
import numpy as np
import pytensor

from pymc_botorch.graph.compiling import functions
from pymc_botorch.graph.compiling.functions import Build, Function, compile_build
from pymc_botorch.graph.compiling.index import Entry
from pymc_botorch.logs import logger

HEAD_START = 10.0  # seconds from the first request to the start of the child, so that a first batch has all cores
NICENESS = 10
PATIENCE_AT_EXIT = 5.0  # seconds to wait for a load under way; the child is killed at once


@dataclass(frozen=True)
class Job:
    """A function to be compiled.

    Attributes:
        key: Key of its structure in the cache.
        subject: Argument of ``build``.
        build: Returns the inputs and outputs of the function.
        entry: What stands for it in the index on disk.
        values: Arguments of a first call, at which Numba compiles.
        deliver: Called with the compiled function, in the worker's thread.
    """

    key: Hashable
    subject: Any
    build: Build
    entry: Entry
    values: Sequence[np.ndarray]
    deliver: Callable[[Function], None]


class _Worker:
    """One thread and, while there is work, one child process."""

    def __init__(self) -> None:
        self.changed = Condition()
        self.jobs: list[Job] = []
        self.errors: list[str] = []
        self.stopping = False
        self.awaited = False
        self.thread: Thread | None = None
        self.child: subprocess.Popen | None = None
        self.began, self.delivered = 0.0, 0

    def add(self, job: Job) -> None:
        with self.changed:
            self.jobs.append(job)
            if self.thread is None or not self.thread.is_alive():
                self.began, self.delivered = time.perf_counter(), 0
                self.thread = Thread(target=self.run, name="pymc_botorch compiler", daemon=True)
                self.thread.start()

    def run(self) -> None:
        with self.changed:
            self.changed.wait_for(lambda: self.stopping or self.awaited, HEAD_START)
        while True:
            with self.changed:
                if not self.jobs or self.stopping:
                    self.thread, child, self.child = None, self.child, None
                    break
                job = self.jobs[0]
            try:
                self._fill_disk_cache(job)
                if not self.stopping:
                    with functions.compile_lock:
                        function = compile_build(job.subject, job.build, "numba", job.entry)
                        function(*job.values)
                    job.deliver(function)
                    self.delivered += 1
            except BaseException as error:  # else the thread would end, and whoever waits for its jobs wait for ever
                if not self.stopping:
                    self.errors.append("".join(traceback.format_exception_only(error)).strip())
                child, self.child = self.child, None
                _dismiss(child)
            if len(self.jobs) == 1 and self.delivered and not self.stopping:
                many = "a function" if self.delivered == 1 else f"{self.delivered} functions"
                seconds = time.perf_counter() - self.began
                logger.info("Numba has compiled %s in %.0f s: later models and fits use it.", many, seconds)
            with self.changed:
                self.jobs.pop(0)
                self.changed.notify_all()
        _dismiss(child)

    def _fill_disk_cache(self, job: Job) -> None:
        if self.child is None:
            self.child = _start_child()
        to_child, from_child = cast("tuple[BinaryIO, BinaryIO]", (self.child.stdin, self.child.stdout))  # pipes, both
        _send(to_child, cloudpickle.dumps((job.subject, job.build, job.entry, list(job.values))))
        message = _receive(from_child)
        if message is None:
            raise RuntimeError(f"the process that compiles ended unexpectedly (exit code {self.child.wait()})")
        if error := message.decode():
            raise RuntimeError(error)

    def stop(self) -> None:
        with self.changed:
            self.stopping = True
            self.changed.notify_all()
        thread, child = self.thread, self.child
        if child is not None:
            child.kill()
        if thread is not None:
            thread.join(PATIENCE_AT_EXIT)


_worker = _Worker()
atexit.register(lambda: _worker.stop())


def _after_fork() -> None:
    """Start afresh in a forked process: threads are not forked, and the compiling child is the parent's."""
    global _worker
    _worker = _Worker()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _dismiss(child: subprocess.Popen | None) -> None:
    if child is None:
        return
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def request(job: Job) -> None:
    """Add a function to the queue of those to be compiled."""
    _worker.add(job)


def pending() -> int:
    """Return the number of structures with functions that Numba is compiling or has yet to compile."""
    return len({job.key for job in list(_worker.jobs)})


def errors() -> list[str]:
    """Return the messages of failed compilations since the last call, and clear them."""
    messages, _worker.errors = _worker.errors, []
    return messages


def wait(timeout: float | None = None) -> bool:
    """Wait until nothing is pending; return False if ``timeout`` (seconds) runs out first."""
    with _worker.changed:
        _worker.awaited = True
        _worker.changed.notify_all()
        done = _worker.changed.wait_for(lambda: not _worker.jobs, timeout)
        _worker.awaited = False
        return done


def serve() -> None:
    """Run the child process: compile the jobs that arrive on standard input until it is closed."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what is printed must not mix with the answers
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    while (message := _receive(sys.stdin.buffer)) is not None:
        error = ""
        try:
            subject, build, entry, values = pickle.loads(message)
            compile_build(subject, build, "numba", entry)(*values)
        except Exception as raised:
            error = "".join(traceback.format_exception_only(raised)).strip()
        _send(answers, error.encode())


def _start_child() -> subprocess.Popen:
    flags = [os.environ.get("PYTENSOR_FLAGS", ""), f"base_compiledir={pytensor.config.base_compiledir}"]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path) or os.getcwd(),
        "PYTENSOR_FLAGS": ",".join(filter(None, flags)),
    }
    code = "from pymc_botorch.graph.compiling.background import serve; serve()"
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )


def _send(pipe: Any, message: bytes) -> None:
    pipe.write(len(message).to_bytes(8, "big") + message)
    pipe.flush()


def _receive(pipe: Any | BinaryIO) -> bytes | None:
    """Return the next message, or None if the other side has closed the pipe."""
    length = pipe.read(8)
    if len(length) < 8:
        return None
    message = pipe.read(int.from_bytes(length, "big"))
    return message if len(message) == int.from_bytes(length, "big") else None
