"""Other servers for comparison, each started as its users do."""
