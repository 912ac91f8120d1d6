"""DynamoDB: tables, items, transactions, the client, and the embedded engine. `models.py` is its facade.
The only folder that knows boto3, table keys or attribute names.
"""
