"""The report: one page that holds a comparison, for people who look before they read."""
