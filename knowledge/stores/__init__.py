"""Implementations of ChunkIndex."""
