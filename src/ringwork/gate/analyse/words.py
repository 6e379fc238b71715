"""What gives attackers away: our own short lists, matched in lower case after decoding.

Fragments are chosen so that a page that merely talks about these things does not match: "select" is
an English word, "union select" is not.
"""

from __future__ import annotations

from typing import Final

STATIC: Final = (
    "aac", "avi", "avif", "bmp", "css", "cur", "eot", "flac", "gif", "ico", "jpeg", "jpg", "js",
    "m4a", "map", "mjs", "mkv", "mov", "mp3", "mp4", "mpeg", "mpg", "ogg", "ogv", "otf", "png",
    "svg", "svgz", "swf", "tif", "tiff", "ttf", "wasm", "wav", "weba", "webm", "webmanifest",
    "webp", "woff", "woff2",
)  # fmt: skip
"""Endings of files that pages draw in."""

TRAVERSAL: Final = (
    "../", "..\\", "..;/", "/etc/passwd", "/etc/shadow", "/etc/hosts", "/proc/self/",
    "win.ini", "boot.ini", "php://filter", "php://input", "file:///",
)  # fmt: skip
SENSITIVE: Final = (
    ".env", ".env.local", ".env.production", ".git/config", ".git/head", ".svn/entries",
    ".hg/hgrc", ".htpasswd", ".htaccess", ".aws/credentials", ".ssh/id_rsa", "id_rsa",
    "id_ed25519", ".bash_history", ".mysql_history", ".npmrc", ".pypirc", ".netrc", ".ds_store",
    ".sql", ".sql.gz", ".bak", ".old", ".swp", "wp-config.php.save", "wp-config.php~",
    "web.config", "docker-compose.yml", "credentials.json", ".pem", ".key", ".kdbx",
)  # fmt: skip
"""Ends of paths that no page links to."""
SQL: Final = (
    "union select", "union all select", "' or '", "\" or \"", "' or 1", " or 1=1", "' and '",
    " and 1=1", "sleep(", "benchmark(", "waitfor delay", "pg_sleep", "information_schema",
    "extractvalue(", "updatexml(", "load_file(", "into outfile", "xp_cmdshell", "order by 1",
    "group by 1", "having 1=1", "0x3a", "concat(0x", "char(", "';--", "'--", "drop table",
)  # fmt: skip
SCRIPT: Final = (
    "<script", "</script", "javascript:", "onerror=", "onload=", "onmouseover=", "<svg", "<img",
    "<iframe", "document.cookie", "alert(", "prompt(", "confirm(", "string.fromcharcode",
)  # fmt: skip
SHELLS: Final = (
    "c99.php", "r57.php", "b374k.php", "wso.php", "wso2.php", "alfa.php", "alfacgiapi",
    "shell.php", "cmd.php", "cmd.jsp", "cmd.aspx", "webshell.php", "backdoor.php", "adminer.php",
    "mini.php", "up.php", "uploader.php", "indoxploit.php", "priv8.php", "marijuana.php",
    "eval-stdin.php", "gel4y.php", "simple.php", "xleet.php", "leaf.php", "0byte.php",
)  # fmt: skip
"""File names under which web shells are left and looked for."""
ADMIN: Final = (
    "phpmyadmin", "/pma/", "myadmin", "/mysql/", "/dbadmin", "/sqladmin", "/adminer",
    "/manager/html", "/solr/admin", "/jmx-console", "/cpanel", "/webmail/", "/hnap1",
    "/boaform", "/cgi-bin/luci", "/vendor/phpunit", "/actuator", "/_ignition", "/telescope",
    "/owa/auth", "/admin/config.php", "/setup.cgi",
)  # fmt: skip
SCANNERS: Final = (
    "nikto", "sqlmap", "nmap", "masscan", "zgrab", "nuclei", "wpscan", "acunetix", "nessus",
    "openvas", "dirbuster", "gobuster", "feroxbuster", "ffuf", "wfuzz", "dirsearch", "arachni",
    "netsparker", "w3af", "havij", "zmeu", "morfeus", "jorgee", "muieblackcat", "whatweb",
    "skipfish", "joomscan", "commix", "burpcollaborator", "fimap", "libredtail", "l9explore",
)  # fmt: skip
"""What vulnerability scanners call themselves when nobody told them not to."""
LOGIN: Final = (
    "login", "log-in", "signin", "sign-in", "logon", "wp-login", "session", "authenticate",
)  # fmt: skip
"""In the last part of a path that takes passwords."""
HTTP_VERSIONS: Final = (
    b"", b"HTTP/0.9", b"HTTP/1.0", b"HTTP/1.1", b"HTTP/2.0", b"HTTP/2", b"HTTP/3.0", b"HTTP/3",
)  # fmt: skip
