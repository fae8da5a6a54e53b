"""Requests: one schema for study files, options and Python."""
