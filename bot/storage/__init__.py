"""The SQL database: the only place that knows which one it is."""
