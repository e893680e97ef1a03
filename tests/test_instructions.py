"""What workers are told: the instructions, and the guideline of each category that is asked about, at every service."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from boxset.endpoints import Endpoints
from boxset.errors import InputError, ParamsError
from boxset.labeling.files import Folder
from boxset.labeling.ground_truth import GroundTruth
from boxset.labeling.instructions import Instructions, instructions_of
from boxset.params import Label, Labeler, Params, Project
from tests.test_label_studio import Team
from tests.test_labeling import CATEGORIES

SHORT = "Draw a tight box round every hammer, saw. None of them there: draw nothing."
CLAW = "hammer:\nOnly <claw> hammers.\nNo gavels."


@pytest.fixture(autouse=True)
def _guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("claw.md").write_text("Only <claw> hammers.\nNo gavels.\n")


def params_of(**labeler: Any) -> Params:
    """Parameters whose hammer has a guideline."""
    categories = {**CATEGORIES, "hammer": msgspec.structs.replace(CATEGORIES["hammer"], guideline="claw.md")}
    project = Project(name="tools", bucket="s3://shop/jobs")
    return Params(world="live", project=project, categories=categories, sources={}, label=Label(), labeler=Labeler(**labeler))


def test_a_category_that_is_not_asked_about_is_not_spoken_of() -> None:
    assert instructions_of(params_of(), ["saw"]) == Instructions("Draw a tight box round every saw. None of them there: draw nothing.", "")
    assert instructions_of(params_of(), ["saw", "hammer"]).guidelines == CLAW


def test_instructions_of_ones_own_stand_for_the_short_text() -> None:
    Path("how.txt").write_text("Box the whole tool.\n")

    assert instructions_of(params_of(instructions="how.txt"), CATEGORIES).whole == f"Box the whole tool.\n\n{CLAW}"


def test_ground_truth_shows_them_as_text_the_guidelines_in_the_full_ones() -> None:
    page = GroundTruth(params_of(backend="ground_truth"), Endpoints(aws="http://none"))._template(CATEGORIES)

    assert f"<short-instructions>{SHORT}</short-instructions>" in page
    assert f"{SHORT}<br><br>hammer:<br>Only &lt;claw&gt; hammers.<br>No gavels.</full-instructions>" in page


def test_label_studio_shows_them_before_labelling(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    team = Team(tmp_path / "team", monkeypatch)
    shop = team.shop()
    shop.labeler._params = params_of()  # type: ignore[attr-defined]

    shop.labeler._created(msgspec.structs.replace(_reserved(team), categories={"hammer": 1, "saw": 2}))  # type: ignore[attr-defined]

    project = team.studio.projects[-1]
    assert (project["show_instruction"], project["expert_instruction"]) == (True, f"{SHORT}<br><br>hammer:<br>Only &lt;claw&gt; hammers.<br>No gavels.")


def _reserved(team: Team) -> Any:
    team.buy(1)
    return team.job.reserved


def test_files_have_them_beside_the_tasks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = Folder(params_of())
    team = Team(tmp_path / "team", monkeypatch)

    folder.send(_reserved(team), team.job.asked, dict.fromkeys((one.sha256 for one in team.job.asked), team.there))

    text = Path("labelling", team.job.name, "tasks/README.txt").read_text()
    assert text.startswith(f"{SHORT}\nPut the COCO file")
    assert text.endswith(f"\n\n{CLAW}\n")


def test_a_guideline_that_is_not_there_stops_a_purchase_before_anything_is_reserved() -> None:
    Path("claw.md").unlink()

    with pytest.raises(InputError, match=r"claw\.md: it is not there"):
        Folder(params_of()).check()


def test_signs_of_ground_truths_template_in_a_guideline_are_refused() -> None:
    Path("claw.md").write_text("Like {{ this }}")

    with pytest.raises(ParamsError, match="a guideline are the template's own"):
        GroundTruth(params_of(backend="ground_truth"), Endpoints(aws="http://none"))._template(CATEGORIES)
