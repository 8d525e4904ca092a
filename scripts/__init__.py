"""What developers run: the servers for the integration tests, the README's picture. Not part of the product."""
