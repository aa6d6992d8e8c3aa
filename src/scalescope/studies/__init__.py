"""Studies: which runs to make, the ledger of what was made, and the driver that makes them."""
