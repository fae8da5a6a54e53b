"""Motion: trajectories, breathing, set-up errors, guidance, and the coverage that they cost."""
