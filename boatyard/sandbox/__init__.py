"""The twin: emulated clouds with real control planes, for tests, demos and anyone who wants to try."""
