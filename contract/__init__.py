"""What is done with the contract, `proto/aisle/v1/*.proto`: build its stubs, check that it breaks no client."""
