"""Tells which readings are unusual for their sensor.

A reading is a number, or JSON with a number in "value". For each sensor (topic) a mean and a deviation are kept in
context.state: they are committed together with the reading and what is emitted for it, so a power cut never counts a
reading twice or forgets one.
"""
import json
import math
import os

THRESHOLD = float(os.environ.get("THRESHOLD", "4"))
# How fast old readings are forgotten: about the last 1/0.02 = 50 readings count.
FORGETTING = 0.02
# Before so many readings nothing is known about a sensor, and nothing is unusual.
READINGS_MIN = 20


def handler(context, event):
    value = value_of(event.body)
    if value is None:
        context.logger.warn_with("not a number", topic=event.topic)
        return

    sensor = event.topic.removeprefix("sensors/")
    usual = context.state.get(sensor) or {"count": 0, "mean": value, "variance": 0.0}
    context.state.set(sensor, learned(value, usual))

    reading = {
        "sensor": sensor,
        "value": value,
        "mean": round(usual["mean"], 3),
        "deviation": round(math.sqrt(usual["variance"]), 3),
        "time": event.timestamp.isoformat(),
    }
    context.emit("readings", reading)

    score = score_of(value, usual)
    if usual["count"] >= READINGS_MIN and abs(score) > THRESHOLD:
        anomaly = {**reading, "score": round(score, 1)}
        context.emit("anomalies", anomaly)
        context.publish(f"anomalies/{sensor}", anomaly, qos=1)


def value_of(body):
    """The number in a body, or None."""
    if isinstance(body, (bytes, bytearray)):
        try:
            body = json.loads(body)
        except ValueError:
            return None
    if isinstance(body, dict):
        body = body.get("value")
    if isinstance(body, bool) or not isinstance(body, (int, float)) or not math.isfinite(body):
        return None
    return float(body)


def score_of(value, usual):
    """How many deviations from the mean. A sensor that hardly moves has a deviation of 1 % of its mean."""
    deviation = max(math.sqrt(usual["variance"]), abs(usual["mean"]) * 0.01, 1e-9)
    return (value - usual["mean"]) / deviation


def learned(value, usual):
    """Mean and variance with the new reading in them: Welford's update, with forgetting."""
    count = usual["count"] + 1
    weight = max(FORGETTING, 1 / count)
    difference = value - usual["mean"]
    mean = usual["mean"] + weight * difference
    variance = (1 - weight) * (usual["variance"] + weight * difference * difference)
    return {"count": count, "mean": mean, "variance": variance}
