"""A local server that speaks Slack, for tests, benchmarks and the demo."""
