"""Production clusters on an AWS account of one's own, by kOps."""
