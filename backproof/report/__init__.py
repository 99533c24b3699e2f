"""Reports, rendered from the evidence on disk alone: the same evidence gives the same bytes."""
