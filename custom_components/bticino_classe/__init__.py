"""BTicino Classe."""
