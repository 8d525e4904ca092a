"""Discord: the bot in servers and direct messages, on discord.py."""
