"""The capability `wallet`: model.py (pure rules), table.py (storage), routes.py (HTTPS), one file a Lambda handler."""
