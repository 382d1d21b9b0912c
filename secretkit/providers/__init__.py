"""Providers: one file a store. The registry finds them by name; none imports another."""
