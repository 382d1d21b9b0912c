"""Finds leaked keys: rules, and an engine that runs them over text. Stands alone."""
