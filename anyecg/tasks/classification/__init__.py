"""Classification by generated report."""
