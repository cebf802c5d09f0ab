"""Claims about speed, each a ratio to what a user would run by hand, both measured in one run on one machine."""
