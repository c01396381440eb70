"""What a person reads and keeps: masks, result.json, figures and the report."""
