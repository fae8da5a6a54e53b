"""A page on which margins and errors are moved: a small local server over a session."""
