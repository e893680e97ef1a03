"""One module per command of `boxset`, loaded when it is called."""
