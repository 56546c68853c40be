"""One hierarchy of errors: the class says whose fault it is. A decision is never an exception."""


class AdjournError(Exception):
    """Whatever Adjourn raises on purpose. Its text says what is wrong and where, for a person to read."""


class CallerError(AdjournError):
    """The program that calls the library, or the operator's settings, asked for something senseless."""


class UnknownConversation(CallerError):
    """There is no conversation with this id."""


class UnknownKey(CallerError):
    """There is no key with this id."""


class ClientError(AdjournError):
    """What came from outside (a request, a line of a file) cannot be read or breaks a rule."""


class UpstreamError(AdjournError):
    """The model's API failed, was late, or sent what cannot be read."""


class StoreError(AdjournError):
    """The store could not read or write; what was not acknowledged did not happen."""


class DamagedLog(StoreError):
    """The log does not say what it said when it was written."""


class Impossible(AdjournError):
    """Adjourn's own fault: the machine was asked for a cell that it does not have. Nothing was written."""
