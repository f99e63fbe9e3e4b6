"""Run a network with ONNX Runtime on the processor; PyTorch is not imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from microshot.device import prepare_process
from microshot.inference.finite import finite
from microshot.inference.shortage import in_parts

if TYPE_CHECKING:
    from types import ModuleType

    from onnx import ModelProto

    from microshot.device import Device


def runtime() -> str:
    """Return name and version as shown to the user, without importing it."""
    from importlib.metadata import version

    return f"ONNX Runtime {version('onnxruntime')}"


def onnx_runtime() -> ModuleType:
    """Import ONNX Runtime so that it reports nothing of its use to its maker."""
    prepare_process()
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # on Windows; elsewhere it heeds what was prepared
    return onnxruntime


class OnnxNetwork:
    """An ONNX model with one input and one output as a plain function of arrays.

    Where memory does not suffice for a batch, its images are worked on in two parts.
    """

    def __init__(self, model: ModelProto, device: Device) -> None:
        onnxruntime = onnx_runtime()
        self.device = device
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = device.threads
        options.inter_op_num_threads = 1
        # a pattern would be held beside the memory of the first batch: 1.6 times the peak, no faster
        options.enable_mem_pattern = False
        options.log_severity_level = 4  # what goes wrong is an error here, too
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Map (N, C, Y, X) float32 to (N, K, Y', X') float32.

        Raises
        ------
        MemoryError
            If memory does not suffice for one image.
        NotFinite
            If what comes out is no finite number.
        """
        return finite(in_parts(self._applied, batch))

    def rest(self, batch: np.ndarray) -> None:
        """Return to the system the memory that is kept for the next batch; costs a run on `batch`.

        A small batch does: what is returned are the blocks that no array lies in after the run.
        Taking them again makes the next run a few percent slower.
        """
        import onnxruntime

        options = onnxruntime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        values = np.ascontiguousarray(batch, np.float32)
        self._session.run(None, {self._input: values}, options)

    def _applied(self, batch: np.ndarray) -> np.ndarray:
        from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException

        values = np.ascontiguousarray(batch, np.float32)
        try:
            return np.asarray(self._session.run(None, {self._input: values})[0])
        except RuntimeException as error:
            if "allocate memory" in str(error) or "bad_alloc" in str(error):
                raise MemoryError(str(error)) from None
            raise
