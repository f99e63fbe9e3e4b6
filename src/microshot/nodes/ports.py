"""The model port: its spec is the model card, its object the bytes of the model file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import knime.extension as knext

from microshot.bundle import Bundle

if TYPE_CHECKING:
    from collections.abc import Sequence


class ModelSpec(knext.PortObjectSpec):
    """What is known of a model; before training only its task, its channels and its stains."""

    def __init__(self, card: dict[str, Any]) -> None:
        self.card = card

    def serialize(self) -> dict[str, Any]:
        """Return JSON values."""
        return {"card": self.card}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> ModelSpec:
        """Read what `serialize` returned, of this or an earlier version."""
        return cls(data.get("card", {}))

    @classmethod
    def announced(
        cls, task: str, n_channels: int | None = None, targets: Sequence[str] = ()
    ) -> ModelSpec:
        """Return the spec of a model that is still to be trained; `targets` are its stains."""
        card: dict[str, Any] = {"task": task}
        if targets:
            card["targets"] = list(targets)
        if n_channels is not None:
            card["architecture"] = {"in_channels": n_channels}
        return cls(card)

    @property
    def task(self) -> str:
        """The model's task, or an empty text."""
        return str(self.card.get("task", ""))

    @property
    def n_channels(self) -> int | None:
        """Number of channels the model takes, where known."""
        return self.card.get("architecture", {}).get("in_channels")

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the stains that the model predicts; empty for other tasks."""
        return tuple(self.card.get("targets", ()))

    def require(self, *tasks: str) -> None:
        """Refuse models of other tasks.

        Raises
        ------
        knext.InvalidParametersError
            Naming the model's task and those that this node takes.
        """
        if self.task not in tasks:
            raise knext.InvalidParametersError(
                f'The model is made for the task "{self.task or "unknown"}"; this node takes models '
                f"for {' or '.join(tasks)}."
            )


class ModelObject(knext.PortObject):
    """A trained model."""

    def __init__(self, spec: ModelSpec, content: bytes) -> None:
        super().__init__(spec)
        self.content = content

    @classmethod
    def of(cls, bundle: Bundle) -> ModelObject:
        """Wrap a model."""
        card = bundle.card.to_json()
        card.pop("report")  # is not needed to configure a node, and has pictures
        return cls(ModelSpec(card), bundle.to_bytes())

    @property
    def bundle(self) -> Bundle:
        """The model, checked."""
        return Bundle.from_bytes(self.content, "the model at the input port")

    def serialize(self) -> bytes:
        """Return the model file's bytes."""
        return self.content

    @classmethod
    def deserialize(cls, spec: ModelSpec, storage: bytes) -> ModelObject:
        """Read the model file's bytes."""
        return cls(spec, storage)


MODEL = knext.port_type(
    "Microscopy Model", ModelObject, ModelSpec, id="org.microshot.microshot.model"
)
