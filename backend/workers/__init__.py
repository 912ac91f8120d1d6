"""gunicorn's workers for eventlet and gevent, made so that no connection can hold the others up."""
