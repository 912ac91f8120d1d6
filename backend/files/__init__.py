"""Calendar files, read and written: iCalendar and CSV. Pure: nothing here knows the store or HTTP."""
