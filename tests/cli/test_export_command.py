"""`microshot export` writes a model for other programs, `microshot import` takes one of theirs."""

from __future__ import annotations

import json
import zipfile

from microshot import __version__
from microshot.bundle import Bundle
from microshot.cli import main
from microshot.pages import model_page
from models_of_all_kinds import made
from stardist_files import write_model
from tiny_images import page_text


def test_a_model_is_written_for_other_programs(tmp_path, capsys):
    file = made("stardist").save(tmp_path / "m.microshot")
    for kind, ending in (("onnx", ".onnx"), ("bioimageio", ".zip")):
        out = tmp_path / "shared" / "nuclei"
        call = ["export", str(file), "--to", kind, "--out", str(out), "--json"]
        assert main(call) == 0
        said = json.loads(capsys.readouterr().out)
        written = out.with_suffix(ending)
        assert said == {"out": str(written), "to": kind, "bytes": written.stat().st_size}
        assert main(call) == 1
        assert "exists already" in capsys.readouterr().err
        assert main([*call, "--overwrite"]) == 0
        capsys.readouterr()
    with zipfile.ZipFile(written) as archive:
        assert "rdf.yaml" in archive.namelist()
    assert sorted(p.name for p in written.parent.iterdir()) == ["nuclei.onnx", "nuclei.zip"]


def test_what_is_no_model_is_refused(tmp_path, capsys):
    (tmp_path / "m.microshot").write_bytes(b"no model at all")
    assert main(["export", str(tmp_path / "m.microshot"), "--to", "onnx", "--out", "x"]) == 1
    assert "m.microshot" in capsys.readouterr().err


def test_a_stardist_model_is_taken(tmp_path, capsys):
    folder, out = write_model(tmp_path / "2D_mine"), tmp_path / "mine.microshot"
    assert main(["import", str(folder), "--out", str(out), "--name", "Nuclei"]) == 0
    told = capsys.readouterr()
    assert "24 px is assumed" in told.err
    assert "Nuclei" in told.out
    assert main(["import", str(folder), "--out", str(out)]) == 1
    assert "exists already" in capsys.readouterr().err
    call = ["import", str(folder), "--out", str(out), "--overwrite", "--diameter", "30", "--json"]
    assert main(call) == 0
    told = capsys.readouterr()
    assert told.err == ""
    card = Bundle.load(out).card
    assert json.loads(told.out) == {"out": str(out), "id": card.id, "name": "2D_mine"}
    assert card.preparation["working_diameter_px"] == 30
    assert "Imported from StarDist" in page_text(model_page(card))
    assert main(["info", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "from:       StarDist" in lines
    assert f"made:       {card.created} with Microshot {__version__}" in lines
    assert main(["import", str(folder), "--out", str(out), "--diameter", "-1"]) == 2
    assert main(["import", str(tmp_path), "--out", str(tmp_path / "x")]) == 1
    assert 'found no "config.json"' in capsys.readouterr().err
