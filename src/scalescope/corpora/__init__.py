"""From text to what a trainer reads: sources, split, tokens on disk, and the order of sequences."""
