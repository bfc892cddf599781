"""Built datasets: questions, manifest, card, and the release's interchange format."""
