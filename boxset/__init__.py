"""Boxset builds training sets for object detection from a list of categories."""

__version__ = "0.1.0"
