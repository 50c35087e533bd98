"""From predictions and reference labels to tables, figures and a report."""
