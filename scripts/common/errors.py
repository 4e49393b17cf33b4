"""The one exception that is meant for the person at the terminal."""


class StudyError(Exception):
    """Bad input or configuration: the message says what, where, why and what to do.

    ``scripts.common.job.run`` prints the message alone; the traceback goes to the log.
    """
