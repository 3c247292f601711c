"""A structure that Python serves comes in, the same compiled by Numba goes out, some time later, without anyone waiting.

A child process of low priority compiles, which fills PyTensor's disk cache; a thread of this process then loads the result in
a second or two. (A thread that compiled would slow down everything else for a minute: it holds the interpreter's lock.)
"""

__all__ = ["Job", "compile_lock", "errors", "pending", "request", "serve", "wait"]

import atexit
import contextlib
import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Condition, RLock, Thread
from typing import Any, BinaryIO, cast

import cloudpickle
import numpy as np
import pytensor

compile_lock = RLock()
"""Held by whoever compiles in this process: PyTensor makes no promise about threads."""

HEAD_START = 10.0  # seconds between the first answer and the start of the child: a first batch wants all cores
NICENESS = 10
PATIENCE_AT_EXIT = 5.0  # seconds for a load that is under way; nothing waits for the child


@dataclass(frozen=True)
class Job:
    """What is to be compiled.

    Attributes:
        compile_graph: Called with ``graph, "numba"``; a function of an importable module.
        graph: What it compiles.
        values: Inputs with which all functions are called once: Numba compiles at the first call.
        deliver: Called with the result, in another thread.
    """

    compile_graph: Callable[[Any, Any], Any]
    graph: Any
    values: Sequence[np.ndarray]
    deliver: Callable[[Any], None]


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

    def add(self, job: Job) -> None:
        with self.changed:
            self.jobs.append(job)
            if self.thread is None or not self.thread.is_alive():
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
                    with compile_lock:
                        compiled = job.compile_graph(job.graph, "numba")
                        compiled.exercise(job.values)
                    job.deliver(compiled)
            except Exception as error:
                if not self.stopping:
                    self.errors.append("".join(traceback.format_exception_only(error)).strip())
                child, self.child = self.child, None
                _dismiss(child)
            with self.changed:
                self.jobs.pop(0)
                self.changed.notify_all()
        _dismiss(child)

    def _fill_disk_cache(self, job: Job) -> None:
        if self.child is None:
            self.child = _start_child()
        to_child, from_child = cast("tuple[BinaryIO, BinaryIO]", (self.child.stdin, self.child.stdout))  # pipes, both
        _send(to_child, cloudpickle.dumps((job.compile_graph, job.graph, list(job.values))))
        message = _receive(from_child)
        if message is None:
            raise RuntimeError(f"the compiling process ended by itself (exit code {self.child.wait()})")
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
    """Begin anew in a forked process: threads are not forked, and the compiling child is the parent's."""
    global _worker, compile_lock
    _worker, compile_lock = _Worker(), RLock()


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
    """Have a structure compiled, after those that were asked for before."""
    _worker.add(job)


def pending() -> int:
    """Return how many structures wait for Numba, the one under way included."""
    return len(_worker.jobs)


def errors() -> list[str]:
    """Return what went wrong since this was last asked, and forget it."""
    found, _worker.errors = _worker.errors, []
    return found


def wait(timeout: float | None = None) -> bool:
    """Wait until nothing is pending; return False where ``timeout`` (seconds) ended first."""
    with _worker.changed:
        _worker.awaited = True
        _worker.changed.notify_all()
        done = _worker.changed.wait_for(lambda: not _worker.jobs, timeout)
        _worker.awaited = False
        return done


def serve() -> None:
    """Be the child: compile what comes through standard input until that is closed."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever prints must not disturb the answers
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    while (message := _receive(sys.stdin.buffer)) is not None:
        error = ""
        try:
            compile_graph, graph, values = pickle.loads(message)
            compile_graph(graph, "numba").exercise(values)
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
    code = "from pymc_botorch.graph.background import serve; serve()"
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
    """Return the next message, None where the other side has gone."""
    length = pipe.read(8)
    if len(length) < 8:
        return None
    message = pipe.read(int.from_bytes(length, "big"))
    return message if len(message) == int.from_bytes(length, "big") else None
