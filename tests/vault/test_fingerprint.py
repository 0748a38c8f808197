"""Fingerprints tell equal cards of one merchant, and nothing to anybody else."""

from gateway.cards.expiry import Expiry
from gateway.cards.pan import Pan
from gateway.vault.fingerprint import expiry_fingerprint, number_fingerprint
from gateway.words.keyed_hash import KeyedHash
from tests.fakes.key_provider import MemoryKeyProvider

PROVIDER = MemoryKeyProvider()
SHOP = KeyedHash(PROVIDER.mac_key("fingerprint/shop"))
OTHER = KeyedHash(PROVIDER.mac_key("fingerprint/other"))
VISA, MASTERCARD = Pan("4242424242424242"), Pan("5555555555554444")


class TestNumberFingerprint:
    def test_is_equal_for_equal_numbers_of_one_merchant(self):
        again = Pan("4242424242424242")

        assert number_fingerprint(SHOP, VISA) == number_fingerprint(SHOP, again)
        assert number_fingerprint(SHOP, VISA) != number_fingerprint(SHOP, MASTERCARD)

    def test_two_merchants_cannot_compare_customers(self):
        """covers: I9."""
        assert number_fingerprint(SHOP, VISA) != number_fingerprint(OTHER, VISA)


class TestExpiryFingerprint:
    def test_is_equal_for_equal_number_and_expiry(self):
        number = number_fingerprint(SHOP, VISA)
        one = expiry_fingerprint(SHOP, number, Expiry(1, 2031))

        assert one == expiry_fingerprint(SHOP, number, Expiry(1, 2031))
        assert one != expiry_fingerprint(SHOP, number, Expiry(2, 2031))
        assert one != expiry_fingerprint(SHOP, number, Expiry(1, 2032))
        other = number_fingerprint(SHOP, MASTERCARD)
        assert one != expiry_fingerprint(SHOP, other, Expiry(1, 2031))

    def test_is_never_a_numbers_fingerprint(self):
        number = number_fingerprint(SHOP, VISA)

        assert expiry_fingerprint(SHOP, number, Expiry(1, 2031)) != number
