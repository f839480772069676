"""The capability `streams`: model.py (pure rules), table.py (storage), routes.py (HTTPS), one file a Lambda handler."""
