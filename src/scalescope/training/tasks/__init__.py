"""What a model is asked: sequences by number as inputs and targets, one task a file."""
