"""One script per measured claim. Speeds are ratios taken in one run; see each script's docstring."""
