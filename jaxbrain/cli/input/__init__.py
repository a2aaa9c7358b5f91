"""What users hand over: files and options, read and checked in one place."""
