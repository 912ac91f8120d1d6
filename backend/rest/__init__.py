"""The REST door: one blueprint per resource, and what all of them share."""
