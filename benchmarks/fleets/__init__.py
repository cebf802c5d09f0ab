"""What benchmarks put onto their clusters."""
