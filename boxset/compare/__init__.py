"""What changed between two data sets, and what became of one picture. Values in, values out."""
