"""Where jobs run: what executors want otherwise than the rules say it. No stage, and no result depends on it."""
