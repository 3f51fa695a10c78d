"""The layers, from ids to outputs; torch begins here."""
