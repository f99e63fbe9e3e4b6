"""The same work on many processes or machines, through the optional package dask.distributed.

Every worker keeps one set of models for a run. A piece of work whose worker is lost is done again by another
one; its result is taken once. No more pieces are on their way than keep the workers busy.
"""

from __future__ import annotations

import functools
import threading
import uuid
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from microshot import __version__
from microshot.progress import Progress, silent
from microshot.words import how_many

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from contextlib import AbstractContextManager

    T = TypeVar("T")
    S = TypeVar("S")
    R = TypeVar("R")

#: Pieces of work that are handed out per worker thread at a time.
AHEAD = 3
#: Seconds between two looks at what has arrived; a cancel request is noticed as fast.
POLL_S = 0.5
#: Seconds to wait for the scheduler and for its first worker.
CONNECT_S = 30.0
#: Ways to reach a scheduler.
PROTOCOLS = ("tcp", "tls", "ws", "wss")

_states: dict[str, Any] = {}
_busy = threading.Lock()


class Cluster:
    """Workers that are connected."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @property
    def line(self) -> str:
        """One line that says who works."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        return f"{how_many(len(workers), 'worker')} at {self._client.scheduler.address}"

    def run(
        self,
        prepare: Callable[[], S],
        do: Callable[[S, T], R],
        items: Sequence[T],
        progress: Progress = silent,
        what: str = "image",
    ) -> Generator[R]:
        """Yield ``do(prepare(), item)`` of all items in their order, up to one that fails.

        Parameters
        ----------
        prepare : makes what a worker keeps, such as models; called once per worker and run, as
            the files that it reads may be others by the next run.
        do : must give the same when repeated, and is, where a worker is lost.
        prepare, do, items : are sent to workers, so they must be picklable.

        Raises
        ------
        RuntimeError
            If a piece of work has cost several workers their lives, or the scheduler is lost.
        """
        from distributed import CancelledError, wait
        from distributed.comm.core import CommClosedError

        waiting = list(enumerate(items))[::-1]
        running: dict[Any, int] = {}
        arrived: dict[int, R | Exception] = {}
        following, n, this = 0, len(items), uuid.uuid4().hex
        try:
            while following < n:
                room = max(2, AHEAD * sum(self._client.nthreads().values()))
                while waiting and len(running) + len(arrived) < room:
                    index, item = waiting.pop()
                    running[self._client.submit(_do, this, prepare, do, item, pure=False)] = index
                progress(following / n, f"{what} {following + 1} of {n}, on {self.line}")
                try:
                    wait(list(running), timeout=POLL_S, return_when="FIRST_COMPLETED")
                except TimeoutError:
                    continue
                for future in [f for f in running if f.done()]:
                    failed = future.status == "error"
                    if failed:  # what is handed out already may come before it
                        waiting.clear()
                    index = running.pop(future)
                    arrived[index] = future.exception() if failed else future.result()
                while following in arrived:
                    yield _result(arrived.pop(following))
                    following += 1
        except (CommClosedError, CancelledError) as error:
            raise RuntimeError(
                "The scheduler no longer answers, so that the results of its workers are lost; start it "
                "and its workers again and repeat the command."
            ) from error
        finally:
            with suppress(CommClosedError):
                self._client.cancel(list(running))


def _result(arrived: Any) -> Any:
    """Return what a piece of work has given; raise its error."""
    from distributed import KilledWorker

    if isinstance(arrived, KilledWorker):
        raise RuntimeError(
            "One image or block has ended several workers, probably for want of memory; give "
            "workers more memory, or choose a smaller tile size."
        ) from arrived
    if isinstance(arrived, Exception):
        raise arrived
    return arrived


def carried_out(
    cluster: Cluster | None,
    do: Callable[[T], R],
    items: Sequence[T],
    progress: Progress = silent,
    what: str = "image",
) -> Iterator[R]:
    """Yield ``do(item)`` of all items in their order, on workers or, without a cluster, here."""
    if cluster is not None:
        yield from cluster.run(_nothing, functools.partial(_only, do), items, progress, what)
        return
    for index, item in enumerate(items):
        progress(index / len(items), f"{what} {index + 1} of {len(items)}")
        yield do(item)


def _nothing() -> None:
    """Stand for the models of work that needs none."""


def _only(do: Callable[[T], R], _state: None, item: T) -> R:
    return do(item)


def _do(run: str, prepare: Callable[[], Any], do: Callable[[Any, Any], Any], item: Any) -> Any:
    """Do one piece of work of a run on a worker; one at a time, as there is one set of models."""
    with _busy:
        if run not in _states:
            _states.clear()  # one set of models per worker
            _states[run] = prepare()
        return do(_states[run], item)


def _version() -> str:
    return __version__


def perhaps(address: str | None) -> AbstractContextManager[Cluster | None]:
    """Connect as `connected`; nothing is done without an address."""
    return nullcontext() if address is None else connected(address)


def _check_address(address: str) -> None:
    """Refuse what cannot be the address of a scheduler, before anything is started for it."""
    try:
        parts = urlsplit(address if "://" in address else f"tcp://{address}")
        good = parts.scheme in PROTOCOLS and parts.hostname and parts.port
    except ValueError:  # no number as port, or half a bracket
        good = False
    if not good or not address.isprintable():
        raise ValueError(
            f'--scheduler "{address:.200}": expected an address such as tcp://head:8786, or local.'
        )


@contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """Connect to a scheduler, or start workers on this machine where `address` is ``local``.

    Raises
    ------
    ValueError
        If the package is not installed, nobody answers, or workers lack this version of Microshot.
    RuntimeError
        If workers of this machine do not start.
    """
    try:
        import distributed  # noqa: F401 - asked for once, here
    except ImportError as error:
        raise ValueError(
            "--scheduler needs the package dask.distributed, which is not installed; install it "
            'with `pip install "microshot[cluster]"`.'
        ) from error
    with _started() if address == "local" else _client(address) as client:
        yield Cluster(client)


@contextmanager
def _started() -> Iterator[Any]:
    """Start a worker per core on this machine.

    Raises
    ------
    RuntimeError
        If the machine does not let them start.
    """
    from distributed import Client, LocalCluster

    from microshot.device import available_cores

    options: dict[str, Any] = {
        "n_workers": available_cores(),
        "threads_per_worker": 1,
        "dashboard_address": "127.0.0.1:0",
        "env": {"OMP_NUM_THREADS": "1"},
    }
    try:
        made = LocalCluster(**options)
    except (RuntimeError, OSError) as error:
        reason = str(error).rstrip(".")
        raise RuntimeError(
            f"--scheduler local: its processes could not be started ({reason}); repeat the command, or "
            "leave the option out to work in one process."
        ) from error
    with made as cluster, Client(cluster) as client:
        yield client


@contextmanager
def _client(address: str) -> Iterator[Any]:
    """Connect to a scheduler whose workers have this version of Microshot."""
    from distributed import Client

    _check_address(address)
    try:
        client: Any = Client(address, timeout=CONNECT_S)  # type: ignore[arg-type]
    except (OSError, ValueError, TypeError) as error:  # TypeError: tls without certificates
        raise ValueError(
            f'--scheduler "{address}": no scheduler answers there within {CONNECT_S:.0f} s; start '
            "one with `dask scheduler`, or use `--scheduler local`."
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=CONNECT_S)
        except TimeoutError as error:
            raise ValueError(
                f'--scheduler "{address}": the scheduler has no worker; start some with `dask '
                f"worker {address}`."
            ) from error
        try:
            others = set(client.run(_version).values()) - {__version__}
        except Exception as error:  # of any kind, for what a worker lacks
            raise ValueError(
                f'--scheduler "{address}": workers cannot load Microshot ({error}); install version '
                f"{__version__} where they were started."
            ) from error
        if others:
            raise ValueError(
                f'--scheduler "{address}": workers have Microshot {", ".join(sorted(others))}, this '
                f"is {__version__}; install the same version everywhere."
            )
        yield client
