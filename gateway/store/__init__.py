"""The durable state: tables, engines, transactions."""
