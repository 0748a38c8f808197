"""Money as the gateway counts it.

Invariants:
  * An amount is an integer number of minor units (ISO 4217), never a float.
  * The currency exists in ISO 4217 and can be charged to a card.
"""

from dataclasses import dataclass
from typing import Final

from gateway.errors import RequestInvalid

# The largest amount any processor we know takes (Stripe: eight digits for most
# currencies, twelve for IDR and the like). It also keeps sums inside 2^53 - 1, the
# largest integer that canonical JSON carries (RFC 8785 section 3.2.2.3).
MINOR_UNITS_MAX: Final = 10**12

# ISO 4217 (maintenance agency list one) without funds codes, metals and test codes.
_CURRENCIES: Final = frozenset(
    (
        "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB "
        "BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP "
        "DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF "
        "IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK "
        "LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN "
        "NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF "
        "SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND "
        "TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF "
        "XPF YER ZAR ZMW ZWG"
    ).split()
)


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in the currency's minor unit: cents, or whole yen.

    Raises:
        RequestInvalid: Negative, too large, or not an ISO 4217 currency.
    """

    minor_units: int
    currency: str

    def __post_init__(self) -> None:
        if self.currency not in _CURRENCIES:
            raise RequestInvalid(
                "amount.currency", "is not an ISO 4217 code, such as USD"
            )
        if not 0 <= self.minor_units <= MINOR_UNITS_MAX:
            raise RequestInvalid("amount.minor_units", "is negative or too large")
