"""Model Reader and Writer: the file is the model; what is no model is refused in one sentence."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from node_tables import arrays, card_of

from microshot.bundle import Bundle
from microshot.headless.standin import NodeFailure
from stardist_files import write_model
from tiny_images import page_text


@pytest.fixture
def writer(host):
    return host.node("write_model")


@pytest.fixture
def reader(host):
    return host.node("read_model")


def test_a_model_survives_the_file_unchanged(host, writer, reader, model, tables, area):
    writer.set("path", "Modelle für alle/Kerne v2")
    assert writer.execute([model], data_area=area) == []
    path = area / "Modelle für alle" / "Kerne v2.microshot"
    assert path.read_bytes() == model.data
    for text in (
        "Modelle für alle/Kerne v2.microshot",
        "knime://knime.workflow/data/Modelle für alle/Kerne v2.microshot",
        str(path),
    ):
        reader.set("path", text)
        (read,) = reader.execute([], data_area=area)
        assert read.data == model.data
        assert card_of(read) == card_of(model)
    table = tables.images(2)
    (one, _), (two, _) = (host.node("predict").execute([m, table]) for m in (model, read))
    for a, b in zip(arrays(one, "Labels"), arrays(two, "Labels"), strict=True):
        np.testing.assert_array_equal(a, b)
    text = page_text(reader.view_html)
    assert "Discs" in text
    assert "CC0 1.0" in text
    assert card_of(model)["id"] in text


def test_other_programs_get_the_network_in_their_own_kind_of_file(writer, model, area):
    for form, ending, words in (
        ("ONNX", ".onnx", b"microshot"),
        ("BIOIMAGEIO", ".zip", b"rdf.yaml"),
    ):
        writer.set("form", form)
        writer.set("path", "shared/nuclei")
        assert writer.execute([model], data_area=area) == []
        assert words in (area / "shared" / f"nuclei{ending}").read_bytes()
        with pytest.raises(NodeFailure, match=rf"nuclei\{ending}\" exists already"):
            writer.execute([model], data_area=area)


def test_a_stardist_model_is_read_from_its_folder(host, reader, tables, area):
    write_model(area / "2D_mine")
    reader.set("path", "2D_mine")
    (read,) = reader.execute([], data_area=area)
    assert card_of(read)["thresholds"]["overlap"] == 0.3
    assert "see source" in page_text(reader.view_html)
    (one, _) = host.node("predict").execute([read, tables.images(1)])
    assert len(arrays(one, "Labels")) == 1
    (area / "2D_mine" / "weights_best.h5").write_bytes(b"no weights")
    with pytest.raises(NodeFailure, match="expected weights as HDF5"):
        reader.execute([], data_area=area)


def test_an_existing_file_is_replaced_only_when_allowed(writer, model, area):
    path = area / "model.microshot"
    path.write_bytes(b"mine")
    with pytest.raises(NodeFailure, match=r"model\.microshot\" exists already"):
        writer.execute([model], data_area=area)
    assert path.read_bytes() == b"mine"
    writer.set("overwrite", True)
    writer.execute([model], data_area=area)
    assert path.read_bytes() == model.data


def test_a_report_lies_beside_the_model_unless_unwanted_and_replaces_none(writer, model, area):
    page = area / "model.html"
    page.write_text("mine", encoding="utf-8")
    with pytest.raises(NodeFailure, match=r"model\.html\" exists already"):
        writer.execute([model], data_area=area)
    assert [p.name for p in area.iterdir()] == ["model.html"]
    writer.set("overwrite", True)
    writer.execute([model], data_area=area)
    assert card_of(model)["id"] in page_text(page.read_text(encoding="utf-8"))
    page.unlink()
    writer.set("report", False)
    writer.execute([model], data_area=area)
    assert [p.name for p in area.iterdir()] == ["model.microshot"]


def test_a_full_disk_leaves_the_old_file_and_no_litter(writer, model, area):
    resource = pytest.importorskip("resource", reason="limits of file sizes need a Unix system")
    path = area / "model.microshot"
    path.write_bytes(b"mine")
    writer.set("overwrite", True)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(NodeFailure) as caught:
            writer.execute([model], data_area=area)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "OSError" in caught.value.details
    assert "\n" not in caught.value.message
    assert path.read_bytes() == b"mine"
    assert [p.name for p in area.iterdir()] == ["model.microshot"]


def test_paths_that_are_empty_are_refused_before_it_runs(writer, reader, model):
    writer.set("path", " ")
    for node, inputs in ((writer, [model.spec]), (reader, [])):
        with pytest.raises(NodeFailure, match="model file") as caught:
            node.configure(inputs)
        assert caught.value.invalid_settings


def damaged(content: bytes) -> dict[str, bytes]:
    length = int.from_bytes(content[:8], "little")
    return {
        "cut off": content[:-1000],
        "is cut off": content[: 8 + length // 2],
        "damaged model file": content + b"more",
        "expected at least 8 bytes, found 0": b"",
        "PyTorch archive, which could run code": b"PK\x03\x04" + bytes(100),
        "not a Microshot model file": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "without a Microshot model card": (2).to_bytes(8, "little") + b"{}",
        "its header is not readable": content[:8] + b"\xff" * length + content[8 + length :],
    }


def test_damaged_and_foreign_files_are_refused_in_one_sentence(reader, model, area):
    reader.set("path", "m.microshot")
    for words, content in damaged(model.data).items():
        (area / "m.microshot").write_bytes(content)
        with pytest.raises(NodeFailure, match=words) as caught:
            reader.execute([], data_area=area)
        assert caught.value.message.startswith("m.microshot: ")
        assert "\n" not in caught.value.message


def test_a_file_that_is_not_there_is_named(reader, area):
    reader.set("path", "no.microshot")
    with pytest.raises(NodeFailure, match=r"no\.microshot: there is no such model file"):
        reader.execute([], data_area=area)
    reader.set("path", "https://example.org/m.microshot")
    with pytest.raises(NodeFailure, match="expected a path"):
        reader.execute([], data_area=area)


def test_a_model_of_another_task_is_read_but_not_applied(host, reader, model, tables, area):
    bundle = Bundle.from_bytes(model.data)
    other = Bundle.make(dataclasses.replace(bundle.card, task="translate"), bundle.weights)
    other.save(area / "other.microshot")
    reader.set("path", "other.microshot")
    (read,) = reader.execute([], data_area=area)
    with pytest.raises(NodeFailure, match=r'made for the task "translate"') as caught:
        host.node("predict").execute([read, tables.images(1)])
    assert caught.value.invalid_settings


def test_weights_that_do_not_fit_their_network_are_refused(host, reader, model, tables, area):
    bundle = Bundle.from_bytes(model.data)
    first = sorted(bundle.weights)[0]
    fewer = {k: v for k, v in bundle.weights.items() if k != first}
    Bundle.make(bundle.card, fewer).save(area / "m.microshot")
    reader.set("path", "m.microshot")
    (read,) = reader.execute([], data_area=area)
    with pytest.raises(NodeFailure, match="do not fit its architecture"):
        host.node("predict").execute([read, tables.images(1)])


def test_a_starter_model_needs_no_file_and_announces_its_task(host, reader, area):
    reader.set("source", "NUCLEI_FLUORESCENCE")
    (announced,) = reader.configure([])
    assert announced.data["data"]["card"]["task"] == "segment"
    (read,) = reader.execute([], data_area=area)
    assert card_of(read)["name"] == "nuclei-fluorescence"
    text = page_text(reader.view_html)
    assert "CC0" in text
    assert "MIT" in text
