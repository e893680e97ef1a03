"""Comparisons with what a user would take instead."""
