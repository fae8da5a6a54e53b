"""Whether results can be trusted: are files still what was made, does this installation do what it says."""
