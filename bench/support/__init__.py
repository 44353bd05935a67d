"""What the measurements share: Home Assistant, the simulated cloud, rings, viewers, the report."""
