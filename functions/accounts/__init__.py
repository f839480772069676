"""The capability `accounts`: model.py (pure rules), table.py (storage), pool.py (Cognito), routes.py (HTTPS)."""
