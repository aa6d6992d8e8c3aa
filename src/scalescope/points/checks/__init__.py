"""What may be wrong with a table, as findings: each file is one kind of doubt, each function one code."""
