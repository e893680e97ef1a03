"""An error in `params.yaml` names the line to mend."""

import pytest

from boxset.lines import line_of

TEXT = """\
# comments count
world: live
categories:
  hammer: {id: 1, target: 5,
    max: 2}
  saw:
    id: 2
    queries:
      - one
      - {q: two, lang: fr}
mirrors:
  https://a.example/: /mnt/a
  https://a.example/b: /mnt/b
"""


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("world", 2),
        ("categories.hammer.id", 4),
        ("categories.hammer.max", 5),
        ("categories.saw.queries", 8),
        ("categories.saw.queries[1]", 10),
        ("categories.saw.queries[1].lang", 10),
        ("categories.saw.queries[7]", 8),
        ("categories.saw.target", 6),  # missing: where the section begins
        ("mirrors.https://a.example/", 12),
        ("mirrors.https://a.example/b", 13),
        ("sources.lvis.path", None),
        ("", None),
    ],
)
def test_a_key_has_the_line_where_it_stands_or_is_missing_from(key: str, line: int | None) -> None:
    assert line_of(TEXT, key) == line


def test_a_text_that_is_no_yaml_has_no_lines() -> None:
    assert line_of("a: [", "a") is None
