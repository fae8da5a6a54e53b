"""Containment without drawing patients: distributions of shifts on a lattice."""
