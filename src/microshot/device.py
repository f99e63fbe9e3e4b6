"""Which device computes, why, and how this process is set up for it: decided here only."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from microshot.words import how_many, memory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    import torch

_prepared = False


@dataclass(frozen=True)
class Device:
    """A device and the reason it was taken, as shown to the user."""

    name: str
    """PyTorch's word for it: ``cpu``, ``cuda`` or ``mps``."""
    reason: str
    """One clause, for example ``no CUDA device visible to PyTorch 2.13.0``."""
    threads: int
    engine: str = ""
    """What computes there, if not PyTorch: for example ``ONNX Runtime 1.31.1``."""
    half: bool = False
    """Whether layers compute in bfloat16 there; weights and losses stay float32."""
    processes: int = 1
    """How many processes trained together, each on a device like this one with batches of its own."""

    @property
    def line(self) -> str:
        """The device line of reports and tables."""
        engine = f", {self.engine}" if self.engine else ""
        cores = f", {how_many(self.threads, 'thread')}" if self.name == "cpu" else ""
        half = ", bfloat16" if self.half else ""
        team = f", {self.processes} processes" if self.processes > 1 else ""
        return f"{self.name.upper()}{engine}{cores}{half}{team}: {self.reason}"

    @property
    def torch(self) -> torch.device:
        """The device as PyTorch wants it."""
        import torch

        return torch.device(self.name)

    def precision(self) -> AbstractContextManager[object]:
        """Return a context in which layers compute in bfloat16 where `half` says so."""
        if not self.half:
            return nullcontext()
        import torch

        return torch.autocast(self.name, torch.bfloat16)


def processor() -> Device:
    """Return the device of work that no network has a part in: one thread of the processor."""
    return Device("cpu", "no network is applied", 1)


def prepare_process() -> None:
    """Set what must be set before large libraries are first imported; harmless when called again.

    ONNX Runtime would keep a number of this computer in the user's folder and report its use to its
    maker (`Add POSIX telemetry <https://github.com/microsoft/onnxruntime/pull/27379>`_).

    glibc keeps freed activations for the next step of a training instead of returning them to
    the system, which would hand them out anew page by page. Settings the user made are kept.
    How OpenMP's threads wait is left to them: put to sleep at once, they would wake too late for
    the small layers of a default training (`benchmarks/threads.py`).
    """
    global _prepared
    if _prepared:
        return
    _prepared = True
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    if "torch" not in sys.modules:
        os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    if "MALLOC_MMAP_THRESHOLD_" not in os.environ:
        _set_allocator(-3, 1 << 30)  # M_MMAP_THRESHOLD
        _set_allocator(-1, (1 << 31) - 1)  # M_TRIM_THRESHOLD


def share_heap() -> None:
    """Let all threads take memory from one heap of glibc; harmless when called again.

    KNIME executes a node in another thread each time. Where that thread gets a heap of its own,
    all that the node needs in passing stays reserved there a second time: 30 MB for images
    of a few kB, up to eight times per core. Computing threads do not wait for each other, as
    networks take their memory in one thread. A setting the user made is kept.
    """
    if "MALLOC_ARENA_MAX" not in os.environ:
        _set_allocator(-8, 1)  # M_ARENA_MAX


def _set_allocator(parameter: int, value: int) -> None:
    """Set a number of glibc's allocator (mallopt(3)); that of another C library stays as it is."""
    if sys.platform == "linux":
        try:
            ctypes.CDLL("libc.so.6").mallopt(parameter, value)
        except (OSError, AttributeError):
            return


def available_cores() -> int:
    """Number of processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


def wished_threads() -> int:
    """Return how many threads compute: as the user says in OMP_NUM_THREADS, else all cores."""
    wished = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # may be a list
    return (int(wished) if wished.isdecimal() else 0) or available_cores()


def rank_and_size() -> tuple[int, int]:
    """Return which of how many processes of one training this is, as ``torchrun`` says; else (0, 1)."""
    told = [os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE")]
    if "MASTER_ADDR" not in os.environ or not all(text.isdecimal() for text in told):
        return 0, 1
    return int(told[0]), max(1, int(told[1]))


def why_no_cuda() -> str:
    """Say why PyTorch can see no CUDA device, without importing it; empty if it might see one."""
    from importlib.metadata import PackageNotFoundError, version

    if "torch" in sys.modules:
        return ""  # PyTorch itself knows better, and asking it costs nothing any more
    try:
        release, _, built = version("torch").partition("+")
    except PackageNotFoundError:
        return "PyTorch is not installed"
    if built == "cpu" or sys.platform == "darwin":
        return f"PyTorch {release} is built without CUDA"
    if built.startswith("rocm"):
        return ""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return "there is no NVIDIA driver"
    return ""


def choose_device(wish: str = "auto") -> Device:
    """Return the device to compute on.

    `wish` is ``auto``, ``cpu``, ``cuda`` or ``mps``. ``auto`` takes CUDA where PyTorch
    sees a device, else the CPU. Apple's ``mps`` is used only when asked for.

    Raises
    ------
    ValueError
        If the wished device is unknown or not there; never falls back silently.
    """
    prepare_process()
    import torch

    version = f"PyTorch {torch.__version__.split('+')[0]}"
    threads = wished_threads()
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    if wish == "cpu":
        return Device("cpu", "chosen by the user", threads)
    if wish == "mps":
        if not torch.backends.mps.is_available():
            raise ValueError(
                f'Device "mps" was asked for, but {version} sees no Apple GPU; use "auto".'
            )
        return Device("mps", "chosen by the user", threads)
    if wish not in ("auto", "cuda"):
        raise ValueError(f'Unknown device "{wish}"; use one of auto, cpu, cuda, mps.')
    if torch.cuda.is_available():
        if rank_and_size()[1] > 1:
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        why = f"{torch.cuda.get_device_name(0)}, {version}"
        return Device("cuda", why, threads)
    built = torch.version.cuda
    why = (
        "is built without CUDA"
        if built is None
        else f"is built for CUDA {built} but sees no device"
    )
    if wish == "cuda":
        raise ValueError(f'Device "cuda" was asked for, but {version} {why}; use "auto" or "cpu".')
    return Device("cpu", f"{version} {why}", threads)


def quickened(device: Device) -> Device:
    """Return `device` so that layers compute in bfloat16, where it has instructions for that.

    AMD processors have them from Zen 4 on, Intel's Xeon from Cooper Lake on, NVIDIA's cards from
    Ampere on. Elsewhere bfloat16 would be imitated, slowly.
    """
    return replace(device, half=_knows_bfloat16(device))


def _knows_bfloat16(device: Device) -> bool:
    import torch

    if device.name == "cuda":
        return torch.cuda.get_device_capability() >= (8, 0)
    told = getattr(torch.cpu, "get_capabilities", dict)  # PyTorch did not always know
    able = told() if device.name == "cpu" else {}
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def peak_memory_mb(device: Device) -> int | None:
    """Return the most memory this process has had in MiB, on a CUDA device that of the device.

    None on Windows, which does not say so without further libraries.
    """
    if device.name == "cuda":
        import torch

        return int(torch.cuda.max_memory_reserved() >> 20)
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak >> (20 if sys.platform == "darwin" else 10))  # bytes on macOS, else KiB


def cost(device: Device, n_images: int, seconds: float) -> str:
    """Say how long images took and how much memory, for reports."""
    each = f" ({seconds / n_images:.1f} s per image)" if n_images > 1 else ""
    peak = peak_memory_mb(device)
    where = "the graphics card" if device.name == "cuda" else "this process"
    most = "" if peak is None else f", at most {memory(peak)} of memory in {where}"
    return f"Time: {seconds:.1f} s{each}{most}."


_SHORTAGES = (
    "out of memory", "can't allocate memory", "not enough memory", "_ALLOC_FAILED", "bad_alloc",
)  # fmt: skip
_FAILURES = ("CUDA error", "CUDA driver error", "cuDNN error", "CUBLAS_STATUS_", "HIP error")


def out_of_memory(error: BaseException) -> bool:
    """Say whether an error of PyTorch, NumPy or Python means that memory did not suffice."""
    text = str(error)
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(word in text for word in _SHORTAGES)
    )


def device_lost(error: BaseException) -> bool:
    """Say whether an error of PyTorch means that the graphics card no longer computes."""
    text = str(error)
    failed = isinstance(error, RuntimeError) and any(word in text for word in _FAILURES)
    return failed and not out_of_memory(error)


def first_line(error: BaseException) -> str:
    """Return the first line of an error, without its final full stop."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def without_card(device: Device, error: BaseException) -> Device:
    """Return the processor as the device that takes over from a graphics card that failed."""
    reason = f"the graphics card failed ({first_line(error)}), the processor took over"
    return Device("cpu", reason, device.threads)


def without_memory(device: Device) -> Device:
    """Return the processor as the device that takes over from a graphics card that is full."""
    reason = "the memory of the graphics card did not suffice, the processor took over"
    return Device("cpu", reason, device.threads)


@contextmanager
def seeded(seed: int, device: Device | None = None) -> Iterator[None]:
    """Let PyTorch draw from `seed` inside the block and leave its global state as it was.

    On the CPU, and on `device` where that is a CUDA device (unless it fails meanwhile).
    """
    import torch

    with torch.random.fork_rng(devices=[]), _cuda_seeded(seed, device):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would touch every device
        yield


@contextmanager
def _cuda_seeded(seed: int, device: Device | None) -> Iterator[None]:
    if device is None or device.name != "cuda":
        yield
        return
    import torch

    before = torch.cuda.get_rng_state()
    torch.cuda.manual_seed(seed)
    try:
        yield
    finally:
        try:
            torch.cuda.set_rng_state(before)
        except RuntimeError as error:
            if not device_lost(error):
                raise
