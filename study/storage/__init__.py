"""What a study keeps, and where: its folder, the ledger, the result files and the lease."""
