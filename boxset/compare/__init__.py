"""What changed between two data sets, what became of one picture, and which labels a detector contradicts. Values in, values out."""
