"""Why a bank refuses, in words that every processor's codes are mapped to.

The same reason means the same thing at every processor, so a billing platform writes
its dunning rules once. The list only grows: callers see the reasons on the wire.
"""

from enum import StrEnum


class DeclineReason(StrEnum):
    """A neutral reason; the usual class and advice stand behind it.

    Attributes:
        INSUFFICIENT_FUNDS: Not enough money or credit; soft.
        LIMIT_EXCEEDED: Too much or too often for now; soft.
        ISSUER_UNAVAILABLE: The bank could not be asked; soft.
        PROCESSING_ERROR: The processor stumbled, nothing moved; soft, once now.
        DO_NOT_HONOR: The bank does not say why; soft.
        CALL_ISSUER: The cardholder must talk to the bank; soft.
        AUTHENTICATION_REQUIRED: The cardholder must authenticate; soft.
        RATE_LIMITED: The network or the processor asks for fewer tries; soft.
        CARD_EXPIRED: The card has expired, or its expiry is wrong; hard.
        NUMBER_INCORRECT: No such card number; hard.
        SECURITY_CODE_INCORRECT: The security code is wrong; hard.
        ADDRESS_INCORRECT: The billing address is wrong; hard.
        PIN_INCORRECT: A PIN is wrong, missing or used up; hard.
        CARD_UPDATED: The bank has newer data for this card; hard.
        ACCOUNT_CLOSED: The account behind the card is closed; hard.
        NOT_SUPPORTED: The card cannot pay this merchant or currency; hard.
        NOT_PERMITTED: The bank forbids this kind of payment; hard.
        AUTHORIZATION_REVOKED: The cardholder withdrew the consent; hard.
        LOST_OR_STOLEN: Reported as lost or stolen; fraud. Do not tell the payer.
        SUSPECTED_FRAUD: Refused as fraud; fraud. Do not tell the payer.
        AMOUNT_INVALID: The amount is too small, too large or malformed; configuration.
        TEST_LIVE_MISMATCH: A test card in live mode, or the reverse; configuration.
        DUPLICATE: The same payment was just made; configuration.
        OTHER: A code that the adapter does not know; hard, never soft.
    """

    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    ISSUER_UNAVAILABLE = "ISSUER_UNAVAILABLE"
    PROCESSING_ERROR = "PROCESSING_ERROR"
    DO_NOT_HONOR = "DO_NOT_HONOR"
    CALL_ISSUER = "CALL_ISSUER"
    AUTHENTICATION_REQUIRED = "AUTHENTICATION_REQUIRED"
    RATE_LIMITED = "RATE_LIMITED"
    CARD_EXPIRED = "CARD_EXPIRED"
    NUMBER_INCORRECT = "NUMBER_INCORRECT"
    SECURITY_CODE_INCORRECT = "SECURITY_CODE_INCORRECT"
    ADDRESS_INCORRECT = "ADDRESS_INCORRECT"
    PIN_INCORRECT = "PIN_INCORRECT"
    CARD_UPDATED = "CARD_UPDATED"
    ACCOUNT_CLOSED = "ACCOUNT_CLOSED"
    NOT_SUPPORTED = "NOT_SUPPORTED"
    NOT_PERMITTED = "NOT_PERMITTED"
    AUTHORIZATION_REVOKED = "AUTHORIZATION_REVOKED"
    LOST_OR_STOLEN = "LOST_OR_STOLEN"
    SUSPECTED_FRAUD = "SUSPECTED_FRAUD"
    AMOUNT_INVALID = "AMOUNT_INVALID"
    TEST_LIVE_MISMATCH = "TEST_LIVE_MISMATCH"
    DUPLICATE = "DUPLICATE"
    OTHER = "OTHER"
