"""Verification: are result files unchanged, and does this installation reproduce reference results."""
