"""Who may come in, and who may do what: accounts, their credentials and roles."""
