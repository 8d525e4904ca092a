"""Models: how they run, and (to come) how rated answers become better releases. Knows nothing of conversations."""
