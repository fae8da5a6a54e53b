"""What is asked: one schema for study files, options and Python, and the value that it makes."""
