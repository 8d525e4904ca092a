"""Fuzzing of the parsers: what must hold for every file (`promises`), the fuzzer (`python -m tests.fuzz`), its kept corpus."""
