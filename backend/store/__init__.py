"""DynamoDB: the tables, the commit, reads, repair, the client and the embedded engine, behind `models.py`.
The only folder that knows boto3, table keys or attribute names.
"""
