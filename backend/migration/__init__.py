"""The desktop program's JSON files: read, staged, loaded into the tables, reported, and exported again.
`migrate_to_dynamodb.py` is its entry.
"""
