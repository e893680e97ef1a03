"""What people look at: tables, the HTML report, plots."""
