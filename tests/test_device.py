"""Which device computes, and that random numbers of others are left alone."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import onnx.parser
import pytest
import torch

from microshot.device import (
    Device,
    available_cores,
    choose_device,
    prepare_process,
    quickened,
    seeded,
)

ABS = '<ir_version: 8, opset_import: ["" : 17]> g (float[N] x) => (float[N] y) {y = Abs(x)}'
SOURCE = Path(__file__).parents[1] / "src"


@pytest.fixture(autouse=True)
def same_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def without_cuda(monkeypatch, built: str | None = None) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", built)


def with_cuda(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _index: "Test Card 3000")


def test_a_graphics_card_is_taken_where_there_is_one(monkeypatch) -> None:
    with_cuda(monkeypatch)
    for wish in ("auto", "cuda"):
        device = choose_device(wish)
        assert device.name == "cuda"
        assert device.line.startswith("CUDA: Test Card 3000, PyTorch 2.")
    assert choose_device("cpu").name == "cpu"


def test_without_one_the_processor_computes_and_says_why(monkeypatch) -> None:
    without_cuda(monkeypatch)
    line = choose_device("auto").line
    assert line.startswith("CPU, ")
    assert line.endswith("is built without CUDA")
    without_cuda(monkeypatch, "12.8")
    assert choose_device().line.endswith("is built for CUDA 12.8 but sees no device")


def test_a_wished_device_that_is_not_there_is_an_error_and_never_replaced(monkeypatch) -> None:
    without_cuda(monkeypatch)
    with pytest.raises(
        ValueError, match=r'^Device "cuda" was asked for, but PyTorch .* use "auto"'
    ):
        choose_device("cuda")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match="sees no Apple GPU"):
        choose_device("mps")
    with pytest.raises(ValueError, match=r'^Unknown device "tpu"; use one of auto, cpu, cuda, mps'):
        choose_device("tpu")


def test_an_apple_card_is_taken_only_when_wished(monkeypatch) -> None:
    without_cuda(monkeypatch)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto").name == "cpu"
    assert choose_device("mps").line == "MPS: chosen by the user"


@pytest.mark.parametrize(
    ("value", "threads"), [("3", 3), ("2,4", 2), ("0", None), ("many", None), ("", None)]
)
def test_the_number_of_threads_is_the_users_or_that_of_the_cores(
    monkeypatch, value, threads
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    device = choose_device("cpu")
    assert device.threads == (threads or available_cores())
    assert torch.get_num_threads() == device.threads


@pytest.mark.parametrize(
    ("able", "half"), [({}, False), ({"avx512_f": True}, False), ({"avx512_bf16": True}, True),
                       ({"amx_bf16": True}, True)],
)  # fmt: skip
def test_layers_compute_in_bfloat16_where_a_processor_has_instructions_for_it(
    monkeypatch, able, half
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    device = quickened(choose_device("cpu"))
    assert device.half is half
    assert ("bfloat16: chosen by the user" in device.line) is half
    assert not choose_device("cpu").half


def test_a_graphics_card_that_only_imitates_bfloat16_computes_without(monkeypatch) -> None:
    with_cuda(monkeypatch)
    for capability, half in {(7, 5): False, (8, 0): True, (9, 0): True}.items():
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda c=capability: c)
        assert quickened(choose_device("auto")).half is half


def test_a_pytorch_that_cannot_tell_the_instructions_computes_in_32_bits(monkeypatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not quickened(choose_device("cpu")).half


def test_apple_graphics_computes_in_32_bits(monkeypatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert not quickened(choose_device("mps")).half


def test_the_line_counts_threads_in_plain_words() -> None:
    assert Device("cpu", "chosen", 1).line == "CPU, 1 thread: chosen"
    assert Device("cpu", "chosen", 4).line == "CPU, 4 threads: chosen"
    assert Device("cpu", "chosen", 1, processes=2).line == "CPU, 1 thread, 2 processes: chosen"
    assert Device("cpu", "chosen", 4).torch == torch.device("cpu")


def test_cores_are_those_this_process_may_use(monkeypatch) -> None:
    assert 1 <= available_cores() <= (os.cpu_count() or 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 5}, raising=False)
    assert available_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_cores() == 1


def test_preparing_twice_is_harmless() -> None:
    prepare_process()
    before = dict(os.environ)
    prepare_process()
    assert dict(os.environ) == before


def test_onnx_runtime_keeps_and_reports_nothing_of_the_user(tmp_path: Path) -> None:
    file = tmp_path / "network.onnx"
    onnx.save(onnx.parser.parse_model(ABS), file)
    (home := tmp_path / "home").mkdir()
    code = (
        "import sys, onnx; from microshot.device import Device; "
        "from microshot.inference.onnx_network import OnnxNetwork; "
        "OnnxNetwork(onnx.load(sys.argv[1]), Device('cpu', 'test', 1))"
    )
    known = {n: os.environ[n] for n in ("PATH", "SYSTEMROOT") if n in os.environ}
    mine = {"HOME": str(home), "PYTHONPATH": str(SOURCE)}
    subprocess.run([sys.executable, "-B", "-c", code, str(file)], env=known | mine, check=True)
    assert not list(home.rglob("*"))


def test_seeds_repeat_and_leave_other_random_numbers_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with seeded(1):
        first = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    with seeded(1, Device("cpu", "test", 1)):
        assert torch.equal(torch.rand(3), first)
    with seeded(2):
        assert not torch.equal(torch.rand(3), first)


def test_random_numbers_are_restored_after_an_error() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with pytest.raises(KeyError), seeded(1):
        raise KeyError
    assert torch.equal(torch.rand(3), expected)


HEAPS = """
import ctypes, sys, threading
from microshot.device import share_heap
if sys.argv[2] == "shared":
    share_heap()
together = threading.Barrier(3)
def work():
    together.wait()
    held = bytearray(1 << 16)
    together.wait()
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of the allocator on Linux")
@pytest.mark.parametrize(("how", "user"), [("own", ""), ("shared", ""), ("shared", "8")])
def test_threads_share_one_heap_unless_the_user_says_otherwise(how, user, tmp_path) -> None:
    if not hasattr(ctypes.CDLL(None), "malloc_info"):
        pytest.skip("another C library than glibc")
    told = tmp_path / "heaps.xml"
    environment = {k: v for k, v in os.environ.items() if k != "MALLOC_ARENA_MAX"}
    environment |= {"MALLOC_ARENA_MAX": user} if user else {}
    subprocess.run(
        [sys.executable, "-c", HEAPS, str(told), how],
        env={**environment, "PYTHONPATH": str(SOURCE)},
        check=True,
    )
    heaps = told.read_text().count("<heap nr=")
    assert (heaps == 1) is (how == "shared" and not user), heaps
