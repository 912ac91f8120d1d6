"""REST and the pages: one module per resource with its blueprint, and modules that all routes share.
A route parses, calls one method of a service and answers.
"""
