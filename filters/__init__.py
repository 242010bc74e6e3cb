"""What counts: a mail or an event in, its meaning out. Pure: no I/O, no clock, no database."""
