"""The use cases and the rules: what may be done to departments and events, and what readers and
clients get. Knows no HTTP, no Socket.IO and no AWS.
"""
