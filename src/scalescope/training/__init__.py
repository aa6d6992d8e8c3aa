"""Model families, recipe, optimisers, and the trainer, on one process or many.  Torch lives here."""
