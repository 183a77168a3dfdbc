"""Character-level language models: see README.md, the model card."""
