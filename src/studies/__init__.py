"""Studies: one module a question, with the notebook's name, and what it draws in `figures/`; benchmarks beside."""
