"""Finds passages: reads documents, keeps the catalogue and the index, retrieves. Knows nothing of conversations."""
