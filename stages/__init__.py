"""One thin module per stage of `dvc.yaml`."""
