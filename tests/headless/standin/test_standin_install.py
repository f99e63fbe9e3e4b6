"""How the stand-in takes KNIME's place, and when it does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from microshot.headless import standin

TOY = Path(__file__).parents[1] / "toy_extension"
SRC = Path(__file__).parents[3] / "src"


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_installing_twice_changes_nothing(installed: None) -> None:
    before = sys.modules["knime.extension"]
    assert standin.install()
    assert sys.modules["knime.extension"] is before


def test_the_real_api_goes_first(tmp_path: Path) -> None:
    (tmp_path / "knime" / "extension").mkdir(parents=True)
    (tmp_path / "knime" / "extension" / "__init__.py").write_text("real = True")
    said = run(
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(SRC)!r}]\n"
        "from microshot.headless import standin\n"
        "print(standin.install(), __import__('knime.extension').extension.real)\n"
        f"try: standin.Host({str(TOY)!r})\n"
        "except RuntimeError as error: print(error)"
    )
    assert said.startswith("False True")
    assert "KNIME's own API is used" in said


def test_another_package_named_knime_does_not_prevent_it(tmp_path: Path) -> None:
    (tmp_path / "knime.py").write_text("")
    said = run(
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(SRC)!r}]\n"
        "from microshot.headless import standin\n"
        "print(standin.install())"
    )
    assert said.strip() == "True"


def test_loading_an_extension_imports_nothing_heavy() -> None:
    said = run(
        f"import sys; sys.path.insert(0, {str(SRC)!r})\n"
        "from microshot.headless import standin\n"
        "standin.install()\n"
        f"host = standin.Host({str(TOY)!r})\n"
        "print(host.problems(), host.node('learn').dialog()['data']['model']['seed'])\n"
        "print(sorted({'pandas', 'PIL', 'matplotlib', 'torch', 'scipy'} & set(sys.modules)))"
    )
    assert said.split("\n")[:2] == ["[] 42", "[]"]


@pytest.mark.parametrize(
    "name",
    [
        "DateTimeParameter", "ParameterArray", "EnumSetParameter", "ColumnFilterParameter",
        "LocalPathParameter", "Contains", "ConnectionPortObject", "view_plotly",
    ],
)  # fmt: skip
def test_what_is_not_offered_says_so(name: str, installed: None) -> None:
    import knime.extension as knext

    with pytest.raises(NotImplementedError, match=f"does not offer knime.extension.{name};"):
        getattr(knext, name)


def test_what_knime_has_not_is_a_missing_attribute(installed: None) -> None:
    import knime.extension as knext

    assert not hasattr(knext, "LongParameter")


def test_dates_are_not_offered(installed: None) -> None:
    import datetime

    import knime.extension as knext

    for make in (knext.datetime, lambda: knext.logical(datetime.datetime)):
        with pytest.raises(NotImplementedError, match="date"):
            make()
