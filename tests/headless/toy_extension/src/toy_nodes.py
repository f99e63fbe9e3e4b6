"""A toy extension that runs on KNIME's own Python code and on the stand-in."""

from __future__ import annotations

import io
import json
import logging

import knime.extension as knext
import toy_misuse

LOGGER = logging.getLogger(__name__)
NODE = {"icon_path": "icons/node.png"}

category = knext.category(
    path="/community",
    level_id="toy",
    name="Toy",
    description="Toy nodes.",
    icon="icons/category.png",
)


def is_image(column: knext.Column) -> bool:
    return "PNGImageValueFactory" in getattr(column.ktype, "logical_type", "")


def is_number(column: knext.Column) -> bool:
    return column.ktype in (knext.double(), knext.int32(), knext.int64())


class ModelSpec(knext.PortObjectSpec):
    def __init__(self, task: str, column: str, mean: float | None) -> None:
        self.task, self.column, self.mean = task, column, mean

    def serialize(self) -> dict:
        return {"task": self.task, "column": self.column, "mean": self.mean}

    @classmethod
    def deserialize(cls, data: dict) -> ModelSpec:
        return cls(data["task"], data["column"], data["mean"])


class Model(knext.PortObject):
    def __init__(self, spec: ModelSpec, content: dict) -> None:
        super().__init__(spec)
        self.content = content

    def serialize(self) -> bytes:
        return json.dumps(self.content).encode()

    @classmethod
    def deserialize(cls, spec: ModelSpec, storage: bytes) -> Model:
        return cls(spec, json.loads(storage))


class OtherSpec(ModelSpec):
    pass


class Other(Model):
    pass


class StrangeSpec(knext.PortObjectSpec):
    def serialize(self) -> dict:
        return {}

    @classmethod
    def deserialize(cls, data: dict) -> StrangeSpec:
        return cls()


class Strange(knext.PortObject):
    def serialize(self) -> bytes:
        return b""

    @classmethod
    def deserialize(cls, spec: StrangeSpec, storage: bytes) -> Strange:
        return cls(spec)


model_type = knext.port_type("Toy Model", Model, ModelSpec, id="org.example.toy.model")
other_type = knext.port_type("Other Model", Other, OtherSpec, id="org.example.toy.other")
strange_type = knext.port_type("Strange", Strange, StrangeSpec, id="org.example.toy.strange")


@knext.node(
    "Toy Source", knext.NodeType.SOURCE, category=category, id="source", keywords=["toy"], **NODE
)
@knext.output_table("Images", "One row per image.")
class Source:
    """Makes images.

    A table with every kind of column, some cells missing.
    """

    n_rows = knext.IntParameter("Rows", "How many rows.", 3, min_value=0, max_value=1000)
    size = knext.IntParameter("Size", "Edge in pixels.", 4, min_value=1)
    depth = knext.IntParameter("Depth", "Bits per pixel.", 16, min_value=8, max_value=16)

    def configure(self, ctx: knext.ConfigurationContext) -> knext.Schema:
        import knime.types.builtin as builtin
        import PIL.Image

        return knext.Schema.from_columns(
            [
                knext.Column(knext.int32(), "Index"),
                knext.Column(knext.int64(), "Long"),
                knext.Column(knext.double(), "Mean"),
                knext.Column(knext.string(), "Name"),
                knext.Column(knext.bool_(), "Even"),
                knext.Column(knext.logical(PIL.Image.Image), "Image"),
                knext.Column(knext.logical(builtin.DenseByteVectorValue), "Raw"),
                knext.Column(knext.logical(builtin.FSLocationValue), "Path"),
                knext.Column(knext.list_(knext.double()), "Profile"),
            ]
        )

    def execute(self, ctx: knext.ExecutionContext) -> knext.Table:
        import knime.types.builtin as builtin
        import numpy as np
        import pandas as pd
        from PIL import Image

        rng = np.random.default_rng(0)
        dtype = np.uint8 if self.depth == 8 else np.uint16
        rows = []
        for i in range(self.n_rows):
            if ctx.is_canceled():
                raise RuntimeError("Stopped.")
            ctx.set_progress(i / self.n_rows, f"Image {i + 1} of {self.n_rows}")
            pixels = rng.integers(0, np.iinfo(dtype).max, (self.size, self.size), dtype=dtype)
            rows.append(
                {
                    "Index": i,
                    "Long": i * 10**10,
                    "Mean": float(pixels.mean()) if i != 1 else None,
                    "Name": f"img_{i}" if i != 1 else None,
                    "Even": i % 2 == 0,
                    "Image": Image.fromarray(pixels) if i != 1 else None,
                    "Raw": builtin.DenseByteVectorValue(pixels.tobytes()),
                    "Path": builtin.FSLocationValue("LOCAL", None, f"/data/{i}.tif"),
                    "Profile": [float(v) for v in pixels[0]],
                }
            )
        frame = pd.DataFrame(
            rows,
            columns=["Index", "Long", "Mean", "Name", "Even", "Image", "Raw", "Path", "Profile"],
        )
        frame = frame.astype(
            {"Index": "int32", "Long": "int64", "Mean": "float64", "Name": "string", "Even": bool}
        )
        for name, kind in (
            ("Image", Image.Image),
            ("Raw", builtin.DenseByteVectorValue),
            ("Path", builtin.FSLocationValue),
        ):
            frame[name] = frame[name].astype(knext.logical(kind).to_pandas())
        if not len(frame):  # an empty object column has no type
            import pyarrow as pa

            table = knext.Table.from_pandas(frame).to_pyarrow()
            at = table.schema.get_field_index("Profile")
            column = pa.array([], pa.list_(pa.float64()))
            return knext.Table.from_pyarrow(table.set_column(at, "Profile", column))
        return knext.Table.from_pandas(frame)


class Depth(knext.EnumParameterOptions):
    SHALLOW = ("Shallow", "Fast.")
    DEEP = ("Deep", "Better.")


@knext.parameter_group("Schedule")
class Schedule:
    """How long."""

    epochs = knext.IntParameter("Epochs", "Passes.", 2, min_value=1)
    warm = knext.BoolParameter("Warm up", "Begin slowly.", False)
    warm_epochs = knext.IntParameter("Warm-up epochs", "Passes.", 1).rule(
        knext.OneOf(warm, [True]), knext.Effect.SHOW
    )

    def validate(self, values: dict) -> None:
        if values["warm_epochs"] > values["epochs"]:
            raise ValueError("There are more warm-up epochs than epochs.")


@knext.parameter_group("Optimisation", is_advanced=True)
class Optimisation:
    """How to learn."""

    rate = knext.DoubleParameter("Rate", "Step.", 0.01, min_value=0.0, max_value=1.0)
    schedule = Schedule()

    def steps(self) -> int:
        return self.schedule.epochs * 10


@knext.parameter_group("Late", since_version="0.2.0")
class Late:
    """Came later."""

    patience = knext.IntParameter("Patience", "Epochs to wait.", 7)


@knext.node("Toy Learner", knext.NodeType.LEARNER, category=category, id="learn", **NODE)
@knext.input_table("Images", "Images to learn from.")
@knext.input_table("More images", "More of them.", optional=True)
@knext.output_port("Model", "What was learned.", model_type)
@knext.output_table("History", "One row per epoch.")
@knext.output_image("Curve", "The loss.")
@knext.output_view("Report", "What happened.")
class Learner:
    """Learns the mean.

    Full *description*.
    """

    image = knext.ColumnParameter("Image column", "The images.", column_filter=is_image)
    label = knext.ColumnParameter("Label column", "Or none.", include_none_column=True)
    depth = knext.EnumParameter(
        "Depth",
        "How deep.",
        Depth.SHALLOW.name,
        Depth,
        style=knext.EnumParameter.Style.VALUE_SWITCH,
    )
    fixed = knext.BoolParameter("Fixed seed", "Repeatable.", True)
    seed = knext.IntParameter("Seed", "Any number.", 42).rule(
        knext.OneOf(fixed, [True]), knext.Effect.ENABLE
    )
    note = knext.StringParameter("Note", "Any text.", "none")
    kept = knext.MultiColumnParameter("Kept columns", "Columns.", column_filter=is_number)
    choice = knext.StringParameter("Choice", "Any text.", "nothing", is_advanced=True)
    later = knext.IntParameter("Later", "Came later.", 5, since_version="0.2.0").rule(
        knext.DialogContextCondition(lambda ctx: ctx.get_input_specs()[1] is not None),
        knext.Effect.SHOW,
    )
    optimisation = Optimisation()
    late = Late()

    @seed.validator
    def _(value: int) -> None:  # noqa: N805 - KNIME calls it with the value
        if value < 0:
            raise ValueError("The seed is negative.")

    def configure(self, ctx, schema, more):
        if self.image is None:
            images = [c.name for c in schema if is_image(c)]
            if not images:
                raise knext.InvalidParametersError("The table has no image column.")
            self.image = images[-1]
            ctx.set_warning(f"The column {self.image} is used.")
        history = knext.Schema.from_columns(
            [knext.Column(knext.int32(), "Epoch"), knext.Column(knext.double(), "Loss")]
        )
        curve = knext.ImagePortObjectSpec(knext.ImageFormat.PNG)
        return ModelSpec(self.depth, self.image, None), history, curve

    def execute(self, ctx, table, more):
        import numpy as np
        import pandas as pd
        from PIL import Image

        total, n = 0.0, 0
        for batch in (
            table[[self.image]].get().to_pandas(),
            *([] if more is None else [more.to_pandas()]),
        ):
            for image in batch[self.image]:
                if image is not None:
                    total += float(np.asarray(image).mean())
                    n += 1
        LOGGER.info("learned from %d images", n)
        losses = [1.0 / (e + 1) for e in range(self.optimisation.schedule.epochs)]
        history = pd.DataFrame({"Epoch": np.arange(len(losses), dtype="int32"), "Loss": losses})
        with io.BytesIO() as buffer:
            Image.new("L", (8, 4)).save(buffer, format="PNG")
            curve = buffer.getvalue()
        ctx.flow_variables["loss"] = losses[-1]
        ctx.flow_variables["epochs"] = [1, 2]
        self.note = f"{n} images"
        mean = total / max(n, 1)
        model = Model(
            ModelSpec(self.depth, self.image, mean), {"n": n, "steps": self.optimisation.steps()}
        )
        page = f"<!DOCTYPE html><html><body>{n} images</body></html>"
        return model, knext.Table.from_pandas(history), curve, knext.view_html(page)


@knext.node("Toy Predictor", knext.NodeType.PREDICTOR, category=category, id="apply", **NODE)
@knext.input_port("Model", "The model.", model_type)
@knext.input_table("Images", "The images.")
@knext.output_table("Scores", "The input with a score.")
class Predictor:
    """Scores images.

    Batch by batch, other columns pass through.
    """

    rows = knext.IntParameter("Rows per batch", "Of the output.", 0, min_value=0)
    fail = knext.StringParameter("Fail", "How to fail.", "")

    def configure(self, ctx, spec, schema):
        if spec.column not in schema.column_names:
            raise knext.InvalidParametersError(f"The column {spec.column} is missing.")
        return schema.append(knext.Column(knext.double(), "Score"))

    def execute(self, ctx, model, table):
        import numpy as np
        import pyarrow as pa

        self._fail()
        out = knext.BatchOutputTable.create()
        batches = [b.to_pyarrow() for b in table.batches()] or [table.to_pyarrow()]
        for data in batches:
            images = data.column(data.schema.get_field_index(model.spec.column)).to_pylist()
            score = [
                None if i is None else float(np.asarray(i).mean()) - model.spec.mean for i in images
            ]
            columns = [*data.columns, pa.array(score, pa.float64())]
            out.append(pa.table(columns, names=[*data.schema.names, "Score"]))
        return out

    def _fail(self) -> None:
        if self.fail == "value":
            raise ValueError("The value is wrong.")
        if self.fail == "key":
            raise KeyError("column")
        if self.fail == "invalid":
            raise knext.InvalidParametersError("The settings are wrong.")


@knext.node("Toy Joiner", knext.NodeType.MANIPULATOR, category=category, id="join", **NODE)
@knext.input_table_group("Tables", "Any number of tables.")
@knext.input_port("Model", "A model.", model_type, optional=True)
@knext.input_binary("Bytes", "Some bytes.", id="org.example.toy.bytes", optional=True)
@knext.output_table("Sizes", "One row per table.")
class Joiner:
    """Counts rows.

    One row per table of the group.
    """

    def configure(self, ctx, schemas, model, content):
        self.seen = None if model is None else model.task
        columns = [knext.Column(knext.string(), "First"), knext.Column(knext.int64(), "Rows")]
        return knext.Schema.from_columns(columns)

    def execute(self, ctx, tables, model, content):
        import pandas as pd

        rows = [
            {"First": t.column_names[0], "Rows": t.num_rows + len(content or b"")} for t in tables
        ]
        frame = pd.DataFrame(rows, columns=["First", "Rows"])
        frame = frame.astype({"First": "string", "Rows": "int64"})
        frame.index = [f"table {i}" for i in range(len(frame))]
        return knext.Table.from_pandas(frame)


@knext.node("Toy Bytes", knext.NodeType.OTHER, category=category, id="bytes", **NODE)
@knext.output_binary("Bytes", "Three bytes.", id="org.example.toy.bytes")
@knext.output_port("Other", "A model of a kind of its own.", other_type)
@knext.output_port("Strange", "No model.", strange_type)
class Bytes:
    """Makes bytes.

    And models.
    """

    def configure(self, ctx):
        spec = OtherSpec("other", "Image", 1.0)
        return [knext.BinaryPortObjectSpec("org.example.toy.bytes"), spec, StrangeSpec()]

    def execute(self, ctx):
        return [b"abc", Other(OtherSpec("other", "Image", 1.0), {"n": 0}), Strange(StrangeSpec())]


@knext.node("Toy Slicer", knext.NodeType.MANIPULATOR, category=category, id="slice", **NODE)
@knext.input_table("Table", "Any table.")
@knext.output_table("Slice", "Some columns of some rows.")
@knext.output_table("All", "The table as it was.")
class Slicer:
    """Slices tables.

    By columns and rows.
    """

    columns = knext.MultiColumnParameter("Columns", "Columns to keep.")
    start = knext.IntParameter("Start", "First row.", 0)
    stop = knext.IntParameter("Stop", "Row after the last.", 2)
    step = knext.IntParameter("Step", "Every nth row.", 1, min_value=1)

    def configure(self, ctx, schema):
        return schema[self.columns], schema

    def execute(self, ctx, table):
        return table[self.columns, self.start : self.stop : self.step], table


@knext.node("Toy Probe", knext.NodeType.OTHER, category=category, id="probe", **NODE)
@knext.output_table("Table", "Whatever the case makes.")
class Probe:
    """Makes a table in one of many ways.

    See toy_cases.py.
    """

    case = knext.StringParameter("Case", "Name of the way.", "int64")

    def configure(self, ctx):
        return None

    def execute(self, ctx):
        import toy_cases

        return toy_cases.CASES[self.case]()


misuse_type = knext.port_type(
    "Misused", toy_misuse.Thing, toy_misuse.Spec, id="org.example.toy.misused"
)


class Option(knext.EnumParameterOptions):
    A = ("A", "The first.")
    B = ("B", "The second.")


@knext.parameter_group("Group")
class Inner:
    """A number in a group."""

    inner = knext.IntParameter("Inner", "A number.", 1, min_value=0, max_value=100)


@knext.node("Toy Misuser", knext.NodeType.OTHER, category=category, id="misuse", **NODE)
@knext.output_table("Table", "One column.")
@knext.output_port("Thing", "A thing.", misuse_type)
@knext.output_view("View", "A page.")
class Misuser:
    """Uses the API in one of many ways.

    See toy_misuse.py.
    """

    configuring = knext.StringParameter("Configuring", "Name of the way.", "fine")
    executing = knext.StringParameter("Executing", "Name of the way.", "fine")
    number = knext.IntParameter("Number", "A number.", 1, min_value=0, max_value=100)
    option = knext.EnumParameter("Option", "A choice.", Option.A.name, Option)
    group = Inner()

    def configure(self, ctx):
        return toy_misuse.CONFIGURE[self.configuring](self, ctx)

    def execute(self, ctx):
        return toy_misuse.EXECUTE[self.executing](self, ctx)
