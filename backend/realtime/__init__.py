"""Socket.IO: clients' messages, the push of changes to their rooms, hints between servers, and the guard
around the libraries underneath. Alone in sending to clients; decides nothing about calendars.
"""
