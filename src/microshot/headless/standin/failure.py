"""The one error that stands for everything KNIME would show on a node."""

from __future__ import annotations


class NodeFailure(RuntimeError):
    """A node refused its settings or inputs, failed, was cancelled, or broke a rule of KNIME.

    Attributes
    ----------
    message : the text KNIME shows on the node.
    invalid_settings : KNIME leaves the node "not configured" instead of "failed".
    cancelled : the user stopped the node.
    details : the traceback, which KNIME writes to its log.
    """

    def __init__(
        self,
        message: str,
        *,
        invalid_settings: bool = False,
        cancelled: bool = False,
        details: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.invalid_settings = invalid_settings
        self.cancelled = cancelled
        self.details = details


class InvalidParametersError(Exception):
    """Raised by a node whose settings or inputs do not fit: KNIME leaves it "not configured"."""

    def __init__(self, message: str) -> None:
        super().__init__(message)


class WorkflowExecutionError(RuntimeError):
    """Named by KNIME's API for workflow ports, which the stand-in does not offer."""


def missing(what: str) -> NotImplementedError:
    """Return the error for a part of KNIME's API that the stand-in does not offer."""
    return NotImplementedError(
        f"The stand-in for KNIME does not offer {what}; run this node in KNIME or do without it."
    )
