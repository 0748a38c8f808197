"""Requests of MerchantService, and what the log says afterwards."""

import json

from bailee.client import new_request_id
from bailee.v1 import merchant_pb2
from bailee.v1 import merchant_service_pb2 as pb

from gateway.words.callers import Caller, Role
from tests.builders.storage import SHOP

TEST = merchant_pb2.ENVIRONMENT_TEST
LIVE = merchant_pb2.ENVIRONMENT_LIVE
PLATFORM = Caller("spiffe://vault.example/caller/platform", frozenset(Role), None)


def create_merchant(merchant, **changes):
    values = {"request_id": new_request_id(), "environment": TEST}
    return pb.CreateMerchantRequest(merchant=merchant, **values | changes)


def update_merchant(**changes):
    values = {"merchant": SHOP, "request_id": new_request_id()}
    return pb.UpdateMerchantRequest(**values | changes)


def deactivate_merchant(merchant=SHOP, **changes):
    values = {"request_id": new_request_id(), "confirmation": merchant}
    return pb.DeactivateMerchantRequest(merchant=merchant, **values | changes)


def entries_of(storage, merchant=SHOP):
    """Returns the merchant's log, oldest entry first."""
    log = storage.stored_log(merchant)
    return [json.loads(leaf) for leaf in log.leaves(0, log.size())]
