/* The mean of the last 16 readings of each topic; an alarm when it passes a limit, and when it is back below. */
#include "dunlin.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define WINDOW 16

DUNLIN_DEFINE_ABI

/* Kept in the state of the function, one for each topic. */
typedef struct window {
  uint32_t count; /* of readings, ever */
  uint32_t is_high;
  double values[WINDOW];
} window;

/* What a worker keeps between events. */
typedef struct settings {
  double limit;
} settings;

DUNLIN_EXPORT int32_t dunlin_init_context(dunlin_context *context) {
  const char *limit = getenv("LIMIT");
  settings *own = malloc(sizeof *own);
  if (own == NULL) return DUNLIN_FAIL(context, NULL, DUNLIN_TEXT("no memory"));
  own->limit = limit == NULL ? 30 : atof(limit);
  context->user_data = own;
  return 0;
}

DUNLIN_EXPORT void dunlin_terminate(dunlin_context *context) { free(context->user_data); }

/* `21.5`, or the `value` of a JSON object. A span has no NUL at its end: copy before strtod. */
static int read_value(dunlin_span body, double *value) {
  char text[256], *number = text, *end;
  if (body.length == 0 || body.length >= sizeof text) return 0;
  memcpy(text, body.data, body.length);
  text[body.length] = '\0';
  if (text[0] == '{') {
    number = strstr(text, "\"value\"");
    number = number == NULL ? NULL : strchr(number, ':');
    if (number == NULL) return 0;
    number++;
  }
  *value = strtod(number, &end);
  return end != number && isfinite(*value);
}

static double mean_of(const window *last) {
  uint32_t filled = last->count < WINDOW ? last->count : WINDOW, i;
  double sum = 0;
  for (i = 0; i < filled; i++) sum += last->values[i];
  return sum / filled;
}

DUNLIN_EXPORT int32_t dunlin_handle(dunlin_context *context, const dunlin_event *event) {
  const settings *own = context->user_data;
  dunlin_span topic = dunlin_topic(event);
  window last = {0};
  double value, mean;
  char text[64];
  int length, is_high;

  if (!read_value(dunlin_body(event), &value)) return DUNLIN_FAIL(context, event, DUNLIN_TEXT("the reading is no number"));
  if (dunlin_state_read(context, event, topic, &last, sizeof last) == DUNLIN_E_FORM)
    dunlin_log(context, DUNLIN_WARN, DUNLIN_TEXT("the state is of another version: beginning anew"));

  last.values[last.count++ % WINDOW] = value;
  mean = mean_of(&last);
  is_high = mean > own->limit;
  length = snprintf(text, sizeof text, "%.3f", mean);
  dunlin_emit(context, event, DUNLIN_TEXT("smoothed"), text, (size_t)length);
  if (is_high != (int)last.is_high) {
    dunlin_publish(context, event, is_high ? DUNLIN_TEXT("alarms/high") : DUNLIN_TEXT("alarms/over"), topic.data, topic.length, 1, 0);
    last.is_high = (uint32_t)is_high;
  }
  dunlin_state_set(context, event, topic, &last, sizeof last);
  return dunlin_respond(context, event, 200, text, (size_t)length);
}
