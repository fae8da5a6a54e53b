"""Ways to manage breathing: what each leaves of it, and what it costs in time."""
