"""The API for programs: its routes, subject by subject, and their description as OpenAPI."""
