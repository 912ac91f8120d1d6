"""REST and the pages: one blueprint per resource, and what all of them share.
A route parses, calls one method of a service and answers.
"""
