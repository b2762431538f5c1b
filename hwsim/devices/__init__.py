"""Device kinds, one file each: strangers to each other."""
