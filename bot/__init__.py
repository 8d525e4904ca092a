"""The conversation: asks knowledge, words and checks answers, records what people think of them."""
