"""A detector's predictions: the pictures to run it on, the reading of what comes back, and the folder that keeps it."""
