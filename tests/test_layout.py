"""The house's rules: which way imports run, which names are not used, what a stage is."""

import ast
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PURE = {"dataset": {"dataset"}, "assemble": {"assemble", "dataset"}, "compare": {"compare", "assemble", "dataset"}}
BOTTOM = {"conflicts", "errors", "files", "params", "work", "resolve", "wording", "yaml12"}
FOLDERS = {path.name for path in (ROOT / "boxset").iterdir() if path.is_dir()}


def modules() -> list[Path]:
    """Every module of the library and the stages."""
    return sorted([*(ROOT / "boxset").rglob("*.py"), *(ROOT / "stages").glob("*.py")])


def imports_of(path: Path) -> set[str]:
    """The modules of ours that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return {name for name in found if name.split(".")[0] in ("boxset", "stages")}


@pytest.mark.parametrize("folder", sorted(PURE))
def test_pure_folders_import_only_what_is_below_them(folder: str) -> None:
    allowed = PURE[folder] | BOTTOM

    wrong = {
        (path.name, name)
        for path in (ROOT / "boxset" / folder).rglob("*.py")
        for name in imports_of(path)
        if name.count(".") and name.split(".")[1] not in allowed
    }

    assert wrong == set()


def test_only_endpoints_imports_the_world() -> None:
    importers = {
        path.relative_to(ROOT).as_posix()
        for path in modules()
        if "boxset/world/" not in path.as_posix() and any(name.startswith("boxset.world") for name in imports_of(path))
    }

    assert importers == {"boxset/endpoints.py"}


def test_the_library_imports_neither_stages_nor_commands() -> None:
    wrong = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in modules()
        if "boxset/commands/" not in path.as_posix()
        for name in imports_of(path)
        if name.startswith(("stages", "boxset.commands")) and path.parts[-2] != "stages"
    }

    assert wrong == set()


def test_no_module_has_a_name_that_says_nothing() -> None:
    names = {path.stem for path in modules()} | FOLDERS

    assert names & {"utils", "util", "helpers", "common", "base", "misc", "manager"} == set()


def test_every_stage_of_dvc_yaml_is_one_thin_module_with_a_version() -> None:
    stages = set(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])
    files = {path.stem: path.read_text() for path in (ROOT / "stages").glob("[a-z]*.py")}

    assert set(files) == stages
    assert {name for name, text in files.items() if "\nVERSION = " not in text} == set()
    assert {name for name, text in files.items() if len(text.splitlines()) > 70} == set()


def test_nothing_tracked_names_a_machine_or_a_package_host() -> None:
    words = ["/work" + "/", "/root" + "/", "pypi" + ".org", "pythonhosted" + ".org", "registry.npmjs" + ".org", "deb.debian" + ".org"]
    pattern = "|".join(word.replace(".", r"\.") for word in words)

    found = subprocess.run(["git", "grep", "-nE", pattern], cwd=ROOT, capture_output=True, text=True, check=False)

    assert found.stdout == ""


def test_balance_names_every_parameter_that_it_reads() -> None:
    """Else a change of one that leaves `data/merge` as it is would not reach what the freeze keeps out."""
    source = (ROOT / "stages/balance.py").read_text() + (ROOT / "boxset/freezing.py").read_text()
    read = set(re.findall(r"params\.((?:project\.)?[a-z]+)\b", source)) - {"yaml", "categories"}
    declared = set(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["balance"]["params"])

    assert read == declared
