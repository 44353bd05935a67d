"""The development server that scripts/develop starts: a simulated cloud and a Home Assistant."""
