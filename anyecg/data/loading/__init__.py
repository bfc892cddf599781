"""From stored recordings and questions to batches: sampling, collation, the loader."""
