"""Keeps the mean of each sensor and emits every reading with it."""
import json


def init_context(context):
    # Once per worker, before its first event: open what handlers share.
    context.user_data.readings = 0


def handler(context, event):
    value = number_in(event.body)
    if value is None:
        return context.Response(body="expected a number, or JSON with a number in value", content_type="text/plain", status_code=400)

    sensor = event.topic or "by hand"
    count, mean = context.state.get(sensor) or (0, 0.0)
    count, mean = count + 1, mean + (value - mean) / (count + 1)
    # State and emits are committed with the event: all of it, or nothing.
    context.state.set(sensor, [count, mean])
    context.emit("readings", {"sensor": sensor, "value": value, "mean": round(mean, 3)})
    context.user_data.readings += 1
    return {"mean": round(mean, 3)}


def number_in(body):
    """The number of a reading; MQTT payloads come as bytes, HTTP with JSON comes parsed."""
    try:
        value = json.loads(body) if isinstance(body, (bytes, str)) else body
    except ValueError:
        return None
    if isinstance(value, dict):
        value = value.get("value")
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
