"""Files in and out: the one writer, opening anything, rows from any file, numbered parts."""
