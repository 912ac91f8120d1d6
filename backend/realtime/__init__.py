"""Socket.IO: clients' messages, the push of changes to their rooms, hints between servers, and the guard
around the Socket.IO libraries. The only folder that sends to clients; decides nothing about calendars.
"""
