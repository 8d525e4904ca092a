"""What is good and what is fast: one file a question, run by hand."""
