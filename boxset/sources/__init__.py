"""The public annotated data sets and one's own pictures: readers, index tables, class search, extraction."""
