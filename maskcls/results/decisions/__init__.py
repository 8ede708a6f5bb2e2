"""From probabilities to labels: temperatures and decision rules."""
