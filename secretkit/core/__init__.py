"""Values and decisions. Pure: no files, no clock, no threads, no network."""
