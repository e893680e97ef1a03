"""`boxset validate`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from boxset.terminal import say
from boxset.wording import counted

if TYPE_CHECKING:
    from boxset.dataset.validation import Fault
    from boxset.freezing import Record
    from boxset.params import Params

MOST = 50  # faults that are printed
CHANGES = 12  # and boxes that would have changed
DATASET = Path("data/dataset")


@click.command()
@click.argument("dataset", type=click.Path(path_type=Path), default=Path("data/dataset"))
@click.option("--no-pictures", is_flag=True, help="Check the records alone, where the pictures were not pulled.")
def command(dataset: Path, no_pictures: bool) -> None:
    """Check a data set record by record, that nothing stands in two splits, and that a frozen test set is what was frozen; exit 1 where a fault is found.

    Then says in plain words what limits the trust in a score on test.
    """
    from boxset.formats.check import read_parts, validate
    from boxset.freezing import change_lines, frozen_faults, read_record
    from boxset.params import Merge, read_params

    params = read_params() if dataset == DATASET and Path("params.yaml").exists() else None
    record = read_record(dataset)
    faults = validate(dataset, pictures=not no_pictures, bits=(params.merge if params else Merge()).duplicate_bits)
    faults += frozen_faults(read_parts(dataset), record, dataset.parent.parent)
    faults += not_as_told(params, record)
    for fault in faults[:MOST]:
        say(f"{fault.where}: {fault.what}")
    if len(faults) > MOST:
        say(f"… and {len(faults) - MOST} more")
    for line in words(dataset, params is not None):
        say(f"note: {line}")
    for line in change_lines(record, CHANGES) if record else ():
        say(line)
    say(f"{dataset}: {counted(len(faults), 'fault')}" if faults else f"{dataset}: no faults")
    sys.exit(1 if faults else 0)


def not_as_told(params: "Params | None", record: "Record | None") -> "list[Fault]":
    """Return a fault where the data set was built with another `split.freeze_test` than stands in params.yaml."""
    from boxset.dataset.validation import Fault

    wanted, built = params.split.freeze_test if params else "", record.name if record else ""
    if params is None or wanted == built:
        return []
    return [Fault("split.freeze_test", f"is {wanted or 'empty'}, and the data set was built {f'with {built}' if built else 'without'}: `dvc repro`")]


def words(dataset: Path, own: bool) -> list[str]:
    """Return what limits the trust in a score on test, and what val has too little of, from the metrics where they are this data set's."""
    from boxset.assemble.split import short_words, words_on_test
    from boxset.files import read_json

    metrics = Path("metrics/dataset.json")
    if not own or not metrics.exists() or not dataset.exists():
        return []
    found = read_json(metrics, dict[str, Any])
    return [*words_on_test(found), *short_words(found, ("val",))]
