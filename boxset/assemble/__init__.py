"""From many pools to one data set: duplicates, merge, balance, split. Values in, values out."""
