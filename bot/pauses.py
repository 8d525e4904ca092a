"""How long to wait before something that failed is tried again (pure)."""


def growing_pause_s(failures: int, first_s: float, longest_s: float, chance: float = 1.0) -> float:
    """Seconds after that many failures in a row before: doubling, up to half of it left to chance (0 to 1)."""
    whole = min(first_s * 2.0 ** min(failures, 16), longest_s)
    return whole * (0.5 + chance / 2)
