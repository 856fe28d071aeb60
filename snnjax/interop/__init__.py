"""Networks of other tools: in and out."""
