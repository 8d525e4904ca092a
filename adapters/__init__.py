"""Chat platforms: carry messages between people and the bot, and know nothing of how answers are found."""
