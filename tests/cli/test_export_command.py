"""`microshot export` writes a model for other programs, once, and says where."""

from __future__ import annotations

import json
import zipfile

from microshot.cli import main
from models_of_all_kinds import made


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
