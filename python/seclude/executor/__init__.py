"""An executor of `concurrent.futures` that calls each function in a sandbox of its own."""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor as _Executor
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.resources import files
from itertools import islice
from threading import Lock
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

import seclude

from ..command import Text
from ..errors import SecludeError
from ..outcome import CompletedRun, Outcome

_PACKAGES = "/.seclude/python"
"""The directory inside in which this package is found."""
P = ParamSpec("P")
T = TypeVar("T")


class JobDied(SecludeError):
    """The process of a call ended without a result: by a signal, a limit, or an exit.

    `outcome` tells how, and `stderr` is what it has written. Other calls are not concerned.
    """

    _kind = "failed"

    def __init__(self, *args: Any, **fields: Any) -> None:
        self.outcome: Outcome | None = fields.pop("outcome", None)
        self.stderr: bytes = fields.pop("stderr", b"")
        super().__init__(*args, **fields)


class RemoteError(SecludeError):
    """A function has raised an exception inside, and results are not trusted.

    `type` is the name of its class, and `traceback` the whole text. Both come from inside.
    """

    _kind = "failed"

    def __init__(self, *args: Any, **fields: Any) -> None:
        self.type: str = fields.pop("type", "")
        self.traceback: str = fields.pop("traceback", "")
        super().__init__(*args, **fields)


class Executor(_Executor):
    r"""Calls functions in sandboxes: a `concurrent.futures.Executor`, made by `Sandbox.executor`.

    Each call has a Python and a sandbox of its own. A call that crashes, or meets a limit, fails
    its own Future with `JobDied`, and no other.

    The function and its arguments are pickled, so the function must be importable inside: its
    module lies in a directory of `path`, or the function is in the main module, whose file is then
    run there, too. Results must be values that JSON has. With `trusted=True` any value that can be
    pickled is returned, and exceptions are raised as they are. Unpickling a result lets the code
    inside run code here, so trust only functions that could as well run here.

        >>> import math, seclude
        >>> with seclude.Sandbox().executor(2) as executor:
        ...     list(executor.map(math.factorial, range(5)))
        [1, 1, 2, 6, 24]
    """

    def __init__(
        self,
        sandbox: seclude.Sandbox,
        workers: int | None = None,
        *,
        path: Iterable[Text] = (),
        python: Text = "python3",
        trusted: bool = False,
    ) -> None:
        self._path = [os.path.abspath(os.fsdecode(name)) for name in path]
        self._trusted = trusted
        main = getattr(sys.modules.get("__main__"), "__file__", None)
        self._main = None if main is None else os.path.abspath(main)
        shown = [*self._path, *([self._main] if self._main else [])]
        entries = json.loads(sandbox.to_json()).get("files", [])
        # A main module that makes an executor imports this package.
        package = seclude.bind(os.path.dirname(seclude.__file__), f"{_PACKAGES}/seclude")
        shown_entries = [seclude.bind(name, optional=True) for name in dict.fromkeys(shown)]
        own = sandbox.replace(files=[*entries, *shown_entries, package])
        self._pool = own.pool(workers)
        guest = files(__package__).joinpath("guest.py").read_text(encoding="utf-8")
        options = json.dumps({"path": [*self._path, _PACKAGES], "pickled": trusted})
        self._program = [python, "-B", "-c", guest, options]
        self._threads = ThreadPoolExecutor(self._pool.size, "seclude-executor")
        self._lock = Lock()
        # The calls that are not done, and whether more may come.
        self._left, self._shut = 0, False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call a function in a sandbox, and return a Future of its result.

        Raises what pickling the function or an argument raises, and RuntimeError after `shutdown`.
        """
        many = isinstance(fn, _Each)
        function: Any = fn.function if many else fn  # type: ignore[attr-defined]
        source = self._main if getattr(function, "__module__", None) == "__main__" else None
        name = os.fsencode(source or "")
        call = b"%d\n%b%b" % (len(name), name, pickle.dumps((function, many, args, kwargs)))
        with self._lock:
            self._left += 1
        try:
            future: Future[T] = self._threads.submit(
                self._run, call, getattr(function, "__qualname__", repr(function))
            )
        except BaseException:
            self._done()
            raise
        future.add_done_callback(self._done)
        return future

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
    ) -> Iterator[T]:
        """Call a function with the arguments of each round, and yield the results in order.

        All calls are submitted at once. With a `chunksize`, so many of them are made one after
        another in one sandbox, which saves their starts. If one of these fails, all do. Raises
        TimeoutError if a result is not there `timeout` seconds after the call of `map`.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be at least 1")
        if chunksize == 1:
            return super().map(fn, *iterables, timeout=timeout)
        rounds = zip(*iterables, strict=False)
        chunks = iter(lambda: tuple(islice(rounds, chunksize)), ())
        return _one_by_one(super().map(_Each(fn), chunks, timeout=timeout))

    def _done(self, _: Future[Any] | None = None) -> None:
        """Close the pool after the last call, if `shutdown` did not wait for it."""
        with self._lock:
            self._left -= 1
            over = self._shut and not self._left
        if over:
            self._pool.close()

    def _run(self, call: bytes, name: str) -> Any:
        done = self._pool.run(self._program, input=call, capture_output=True)
        told = self._read(done, name)
        if "value" in told:
            # Nothing here keeps a reference to the result.
            return told.pop("value")
        if isinstance(error := told.get("exception"), BaseException):
            raise error from _Remote(str(told.get("traceback", "")))
        raise RemoteError(
            f"{name}: {told.get('error')}: {told.get('message')}",
            step="call a function",
            type=str(told.get("error", "")),
            traceback=str(told.get("traceback", "")),
        )

    def _read(self, done: CompletedRun, name: str) -> dict[str, Any]:
        """Return the result of a call, which is whole if the process exited with 0."""
        told: Any = None
        wrong: BaseException | None = None
        if done.outcome.success:
            try:
                told = (pickle if self._trusted else json).loads(done.stdout)
            # All, because what is unpickled may raise SystemExit.
            except BaseException as error:
                wrong = error
        if isinstance(told, dict) and ("value" in told or isinstance(told.get("error"), str)):
            return told
        how = "gave no result" if done.outcome.success else str(done.outcome)
        raise JobDied(
            f"{name}: {how}", step="call a function", outcome=done.outcome, stderr=done.stderr
        ) from wrong

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more calls. With `wait`, wait for those that run or are pending.

        Without `wait`, they run on, and the sandboxes end with the last of them.
        """
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        with self._lock:
            self._shut = True
            over = not self._left
        if wait or over:
            self._pool.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None and not issubclass(kind, Exception):
            # Ctrl-C does not reach the calls, which have sessions of their own.
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._pool._abandon()
        self.shutdown()


class _Each:
    """A function that is called once for each tuple of arguments that it gets."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, rounds: Iterable[tuple[Any, ...]]) -> list[Any]:
        """Do what the program inside does."""
        return [self.function(*one) for one in rounds]


def _one_by_one(chunks: Iterator[list[T]]) -> Iterator[T]:
    """Yield the results of chunks, without keeping a reference to them."""
    for chunk in chunks:
        chunk.reverse()
        while chunk:
            yield chunk.pop()


class _Remote(Exception):
    """The cause of an exception from inside: the traceback there, as text."""

    @property
    def tb(self) -> str:
        """The text, under the name that it has in `concurrent.futures`."""
        return str(self.args[0])

    def __str__(self) -> str:
        return f'\n"""\n{self.tb}"""'
