"""Train the models in data/models on procedural people."""
