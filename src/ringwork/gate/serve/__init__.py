"""The gate in front of something: as middleware, as a service that proxies ask, or in between."""
