"""The data set's folder and the formats it can be exported to."""
