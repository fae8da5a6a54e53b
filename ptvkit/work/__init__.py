"""How a request is carried out: read, compute, write whole or not at all."""
