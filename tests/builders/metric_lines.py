"""Reading what Prometheus would read."""

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families


def read_samples(text):
    """Returns {(name, frozenset of labels): value} of an exposition."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def samples_of(metrics):
    """Returns the samples of a gateway's metrics now."""
    return read_samples(generate_latest(metrics.registry).decode())


def value_of(metrics, name, **labels):
    """Returns one number; None if it is not there."""
    return samples_of(metrics).get((name, frozenset(labels.items())))
