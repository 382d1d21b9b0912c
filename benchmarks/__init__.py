"""Speed and memory of secretkit, side by side with its peers: ``make bench``."""
