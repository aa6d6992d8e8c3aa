"""Model families, corpus to batches, recipe, optimisers, and the trainer of one trial.  Torch lives here."""
