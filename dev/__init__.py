"""The development server of scripts/develop: a simulated cloud and Home Assistant."""
