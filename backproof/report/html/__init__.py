"""The report as pages that open from disk: rendered from the evidence alone, with nothing fetched from anywhere."""
