"""A whole project over real photographs, as docs/real-data.md says."""

import json
import re
from pathlib import Path

import pytest

from boxset.files import write_json
from boxset.yaml12 import parsed_yaml
from tests.project import REALDATA, REPOSITORY, Project, with_git_identity

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.xdist_group("full"),
    pytest.mark.skipif(not REALDATA.is_dir(), reason="the folder of real files is not here"),
]


def test_real_photographs_become_a_data_set_that_pycocotools_loads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = Project(tmp_path / "real")
    Project(tmp_path).run("boxset", "init", str(project.root))
    with_git_identity(project)
    (project.root / "coco").symlink_to(REALDATA / "coco/tiny_coco")
    (project.root / "tool_photos").symlink_to(REALDATA / "tool_photos")
    block = re.search(r"```yaml\n(.*?)```", (REPOSITORY / "docs/real-data.md").read_text(), re.DOTALL)
    assert block is not None
    path = project.root / "params.yaml"
    written, replaced = (parsed_yaml(text, where="params.yaml") for text in (path.read_text(), block[1]))
    assert replaced.keys() < written.keys()
    write_json(path, {**written, **replaced})

    project.repro()

    assert "no faults" in project.run("boxset", "validate").stdout
    boxes = project.json("metrics/dataset.json")["boxes"]
    assert boxes["screwdriver"] == 17
    assert boxes["hammer"] == 3
    assert boxes["person"] > 50
    from pycocotools.coco import COCO

    for split in ("train", "val", "test"):
        path = project.root / f"data/dataset/annotations/instances_{split}.json"
        assert len(COCO(str(path)).anns) == len(json.loads(path.read_text())["annotations"])
    capsys.readouterr()
