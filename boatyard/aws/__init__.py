"""AWS accounts: what kOps and EKS share. boto3 is imported here, in their drivers and in the sandbox only."""
