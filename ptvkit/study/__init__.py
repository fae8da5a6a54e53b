"""Studies: what a file asks for, read and checked."""
