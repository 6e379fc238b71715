"""The web console: server-rendered pages that each answer one question of a named user.

``http.py`` has the addresses, ``views/`` what a page says, ``templates/`` how it looks.
"""
