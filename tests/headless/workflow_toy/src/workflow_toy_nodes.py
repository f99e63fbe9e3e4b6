"""Four nodes that read, learn, apply and draw, small enough to be run in every test."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import knime.extension as knext

NODE = {
    "icon_path": "icons/node.png",
    "category": knext.category("/community", "spots", "Spots", "Toy nodes.", "icons/category.png"),
}


class ModelSpec(knext.PortObjectSpec):
    def __init__(self, column: str) -> None:
        self.column = column

    def serialize(self) -> dict:
        return {"column": self.column}

    @classmethod
    def deserialize(cls, data: dict) -> ModelSpec:
        return cls(data["column"])


class Model(knext.PortObject):
    def __init__(self, spec: ModelSpec, mean: float) -> None:
        super().__init__(spec)
        self.mean = mean

    def serialize(self) -> bytes:
        return json.dumps({"mean": self.mean}).encode()

    @classmethod
    def deserialize(cls, spec: ModelSpec, storage: bytes) -> Model:
        return cls(spec, json.loads(storage)["mean"])


model_type = knext.port_type("Spot Model", Model, ModelSpec, id="org.example.spots.model")


def check(ctx: knext.ExecutionContext) -> None:
    if ctx.is_canceled():
        raise RuntimeError("The node was stopped.")


@knext.node("Spot Reader", knext.NodeType.SOURCE, id="read", **NODE)
@knext.output_table("Images", "One row per image.")
class Reader:
    """Makes images.

    With the brightness that a file of the workflow's data area names.
    """

    n = knext.IntParameter("Images", "How many.", 3, min_value=0, max_value=500)
    file = knext.StringParameter("File", "In the data area; empty for none.", "")
    fail = knext.BoolParameter("Fail", "Whether to fail.", False)
    wait = knext.BoolParameter("Wait", "Work silently until stopped.", False)

    def configure(self, ctx):
        import PIL.Image

        return knext.Schema.from_columns(
            [
                knext.Column(knext.string(), "Name"),
                knext.Column(knext.logical(PIL.Image.Image), "Image"),
                knext.Column(knext.double(), "Count"),
            ]
        )

    def execute(self, ctx):
        import numpy as np
        import pandas as pd
        from PIL import Image

        if self.fail:
            raise ValueError("The images cannot be read; choose another folder.")
        for _ in range(3000 if self.wait else 0):
            check(ctx)
            time.sleep(0.01)
        base = 1000
        if self.file:
            base = int((Path(ctx.get_workflow_data_area_dir()) / self.file).read_text())
        rows = [f"img/{i}" for i in range(self.n)]
        images = [
            None if i == 1 else Image.fromarray(np.full((3, 5), base + i, np.uint16))
            for i in range(self.n)
        ]
        frame = pd.DataFrame(
            {
                "Name": pd.Series(rows, dtype="string"),
                "Image": pd.Series(images, dtype=object),
                "Count": [None if i == 1 else float(i) for i in range(self.n)],
            }
        ).astype({"Count": "float64"})
        frame["Image"] = frame["Image"].astype(knext.logical(Image.Image).to_pandas())
        return knext.Table.from_pandas(frame)


@knext.parameter_group("Training")
class Training:
    """How long to learn."""

    epochs = knext.IntParameter("Epochs", "Passes.", 3, min_value=1)
    minutes = knext.DoubleParameter("Minutes", "At most.", 0.5, min_value=0.0)


class Quality(knext.EnumParameterOptions):
    GOOD = ("GOOD", "As well as can be.")
    BAD = ("BAD", "Somehow.")


@knext.node("Spot Learner", knext.NodeType.LEARNER, id="learn", **NODE)
@knext.input_table("Images", "Images to learn from.")
@knext.input_table("More images", "More of them.", optional=True)
@knext.output_port("Model", "What was learned.", model_type)
@knext.output_table("History", "One row per epoch.")
@knext.output_view("Report", "What happened.")
class Learner:
    """Learns the mean.

    In some epochs.
    """

    column = knext.ColumnParameter("Image column", "The images.")
    quality = knext.EnumParameter("Quality", "How well.", Quality.GOOD.name, Quality)
    kept = knext.MultiColumnParameter("Kept", "Columns.")
    training = Training()

    def configure(self, ctx, schema, more):
        if not self.column:
            self.column = "Image"
            ctx.set_warning("The column Image is used.")
        if self.column not in schema.column_names:
            raise knext.InvalidParametersError(f"The column {self.column} does not exist.")
        history = [knext.Column(knext.int64(), "Epoch"), knext.Column(knext.double(), "Loss")]
        return ModelSpec(self.column), knext.Schema.from_columns(history)

    def execute(self, ctx, table, more):
        import numpy as np
        import pandas as pd

        tables = [table] if more is None else [table, more]
        images = [image for t in tables for image in t.to_pandas()[self.column] if image]
        losses = []
        for epoch in range(self.training.epochs):
            check(ctx)
            ctx.set_progress(epoch / self.training.epochs, f"epoch {epoch + 1}")
            losses.append(1 / (epoch + 1))
        ctx.set_warning(f"{len(images)} images, {self.training.minutes} minutes, {self.quality}.")
        ctx.flow_variables["epochs"] = self.training.epochs
        ctx.flow_variables["column"] = self.column
        mean = float(np.mean([np.asarray(image).mean() for image in images]))
        frame = pd.DataFrame({"Epoch": range(len(losses)), "Loss": losses})
        page = knext.view_html(f"<!DOCTYPE html><html><body>mean {mean}</body></html>")
        return Model(ModelSpec(self.column), mean), knext.Table.from_pandas(frame), page


@knext.node("Spot Scorer", knext.NodeType.PREDICTOR, id="apply", **NODE)
@knext.input_port_group("Models", "Any number of models.", model_type)
@knext.input_table("Images", "The images.")
@knext.output_table("Scores", "One column per model.")
class Scorer:
    """Scores images.

    By several models.
    """

    scale = knext.DoubleParameter("Scale", "Factor.", 1.0)

    def configure(self, ctx, specs, schema):
        columns = [knext.Column(knext.double(), f"Score {i}") for i in range(len(specs))]
        return knext.Schema.from_columns(columns)

    def execute(self, ctx, models, table):
        import numpy as np
        import pandas as pd

        images = table.to_pandas()[models[0].spec.column if models else "Image"]
        scores = {
            f"Score {i}": [
                None if im is None else (float(np.asarray(im).mean()) - m.mean) * self.scale
                for im in images
            ]
            for i, m in enumerate(models)
        }
        return knext.Table.from_pandas(
            pd.DataFrame(scores, index=images.index).astype("float64"), row_ids="keep"
        )


@knext.node("Spot Painter", knext.NodeType.OTHER, id="paint", **NODE)
@knext.input_table("Table", "Any table.")
@knext.output_image("Picture", "A curve.")
@knext.output_binary("Bytes", "Some bytes.", id="org.example.spots.bytes")
class Painter:
    """Draws a picture.

    Knows what it draws when it has drawn it.
    """

    late = knext.BoolParameter("Late", "Announce nothing.", False)
    fail = knext.BoolParameter("Fail", "Whether to fail.", False)

    def configure(self, ctx, schema):
        if self.late:
            return None
        image = knext.ImagePortObjectSpec(knext.ImageFormat.PNG)
        return image, knext.BinaryPortObjectSpec("org.example.spots.bytes")

    def execute(self, ctx, table):
        from PIL import Image

        if self.fail:
            raise RuntimeError("There is no colour left; try again.")
        with io.BytesIO() as buffer:
            Image.new("L", (4, 4)).save(buffer, format="PNG")
            return buffer.getvalue(), b"abc"
