"""`python -m boxset`."""

from boxset.cli import main

main()
