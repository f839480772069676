"""The page in Chromium, on a whole local stack."""
