"""Watching mailboxes over IMAP: connections, what is new in them, and what of a mail has to be read."""
