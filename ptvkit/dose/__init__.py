"""Dose: what a target and its neighbours get, planned and while they move."""
