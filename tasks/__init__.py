"""The Prefect tasks that flows are made of: retries, time limits, progress and artifacts live here."""
