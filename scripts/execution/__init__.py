"""Where jobs run: what executors want otherwise than the rules say it. No stage, and nothing that a result depends on."""
