"""The composition root: settings to adapters to parts to ASGI, and the server around it."""
