"""The handler that both sides of the ring benchmark run."""


def handler(context, event):
    return event.body
