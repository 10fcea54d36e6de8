"""Each row of a CSV file becomes an event of the stream "rows". A file that does not parse goes to the dead letters, whole."""

import csv
import io


def handler(context, event):
    rows = csv.DictReader(io.StringIO(event.body.decode()), strict=True)
    count = 0
    for row in rows:
        if None in row or None in row.values():
            raise ValueError(f"row {count + 1} of {event.headers['name']} has not as many fields as the first line")
        context.emit("rows", {"file": event.headers["name"], **row})
        count += 1
    context.logger.info_with("file read", file=event.headers["path"], rows=count)
    return f"{count} rows"
