"""Recordings on disk, read by memory map."""
