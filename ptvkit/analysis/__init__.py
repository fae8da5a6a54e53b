"""What is computed on values alone: what each error costs, the smallest margin, recipes held against a simulation."""
