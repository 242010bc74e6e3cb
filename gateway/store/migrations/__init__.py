"""The schema's history, oldest first (Alembic)."""
