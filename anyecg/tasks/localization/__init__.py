"""Second-level localization."""
