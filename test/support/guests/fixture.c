/* The fixture function in C: README.md beside this file says what it does. */
#include <dunlin.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

DUNLIN_DEFINE_ABI

typedef struct answer {
  char *text;
  size_t length;
  int lines;
  dunlin_header_pair headers[8];
  dunlin_meta meta;
  uint16_t status;
} answer;

static const char FIELDS[] = "{\"celsius\":90,\"where\":\"här\"}";

static void die(void) { kill(getpid(), SIGKILL); }

static int exists(const char *path) { return access(path, F_OK) == 0; }

DUNLIN_EXPORT int32_t dunlin_init_context(dunlin_context *context) {
  if (strcmp(context->function_name, "init-fails") == 0) return DUNLIN_FAIL(context, NULL, DUNLIN_TEXT("init has failed"));
  if (strcmp(context->function_name, "init-dies") == 0 && !exists("died")) {
    fclose(fopen("died", "w"));
    die();
  }
  context->user_data = strdup(context->function_name);
  return 0;
}

DUNLIN_EXPORT void dunlin_drain(dunlin_context *context) {
  puts("drained");
  if (strcmp((const char *)context->user_data, "drain-dies") == 0) die();
}

DUNLIN_EXPORT void dunlin_terminate(dunlin_context *context) {
  puts("terminated");
  free(context->user_data);
}

static dunlin_span word(dunlin_span *rest) {
  const char *blank = rest->length == 0 ? NULL : memchr(rest->data, ' ', rest->length);
  size_t length = blank == NULL ? rest->length : (size_t)(blank - rest->data);
  dunlin_span found = dunlin_span_of(rest->data, length);
  *rest = dunlin_span_of(rest->data + length + (blank != NULL), rest->length - length - (blank != NULL));
  return found;
}

static int is(dunlin_span span, const char *text) { return dunlin_equals(span, dunlin_text(text)); }

static char *copy(dunlin_span span) {
  char *text = malloc(span.length + 1);
  memcpy(text, span.data, span.length);
  text[span.length] = '\0';
  return text;
}

static void add(answer *to, const char *data, size_t length) {
  to->text = realloc(to->text, to->length + length + 1);
  if (to->lines++ > 0) to->text[to->length++] = '\n';
  memcpy(to->text + to->length, data, length);
  to->length += length;
}

static void print_item(FILE *out, const char *name, dunlin_span value) {
  fprintf(out, "%s=%.*s\n", name, (int)value.length, value.data == NULL ? "" : value.data);
}

static int32_t describe(dunlin_context *context, const dunlin_event *event) {
  static const char *const qualities[] = {"unset", "floor", "synced"};
  const dunlin_trigger *trigger = dunlin_trigger_of(context, event);
  char *text = NULL, id[37];
  size_t length = 0, at = 0;
  uint8_t tag;
  dunlin_span key, value;
  FILE *out = open_memstream(&text, &length);
  dunlin_id_text(event, id);
  fprintf(out, "id=%s\n", id);
  print_item(out, "content_type", dunlin_content_type(event));
  print_item(out, "method", dunlin_method(event));
  print_item(out, "path", dunlin_path(event));
  print_item(out, "url", dunlin_url(event));
  print_item(out, "topic", dunlin_topic(event));
  print_item(out, "type", dunlin_type(event));
  print_item(out, "type_version", dunlin_type_version(event));
  print_item(out, "order_key", dunlin_order_key(event));
  print_item(out, "shard_id", dunlin_item(event, DUNLIN_TAG_SHARD_ID));
  print_item(out, "num_shards", dunlin_item(event, DUNLIN_TAG_NUM_SHARDS));
  print_item(out, "offset", dunlin_item(event, DUNLIN_TAG_OFFSET));
  fprintf(out, "qos=%d\nattempt=%d\nsize=%u\nboot_id=%u\n", dunlin_qos(event), event->attempt, event->body_length, event->boot);
  fprintf(out, "monotonic_ns=%llu\nclock_quality=%s\n", (unsigned long long)event->monotonic_ns, qualities[dunlin_clock_quality(event)]);
  fprintf(out, "retain=%d\nreplayed=%d\n", dunlin_is_retained(event), dunlin_is_replayed(event));
  fprintf(out, "time_ms=%llu\ntrigger=%s/%s", (unsigned long long)(event->time_us / 1000), trigger->kind, trigger->name);
  while (dunlin_next_item(event, &at, &tag, &key, &value)) {
    if (tag != DUNLIN_TAG_HEADER && tag != DUNLIN_TAG_FIELD) continue;
    fprintf(out, "\n%s %.*s=%.*s", tag == DUNLIN_TAG_HEADER ? "header" : "field", (int)key.length, key.data, (int)value.length, value.data);
  }
  fclose(out);
  dunlin_respond(context, event, 200, text, length);
  free(text);
  return 0;
}

static int32_t run_step(dunlin_context *context, const dunlin_event *event, dunlin_span rest, answer *to) {
  dunlin_header_pair unit = {DUNLIN_TEXT("unit"), DUNLIN_TEXT("°C")};
  dunlin_meta meta = {DUNLIN_TEXT("text/plain"), &unit, 1};
  dunlin_span step = word(&rest), text = rest, name, value;
  name = word(&text);
  if (is(step, "emit")) return dunlin_emit_with(context, event, name, text.data, text.length, &meta);
  if (is(step, "emits")) {
    char *count = copy(text), number[16];
    int i, end = atoi(count);
    free(count);
    for (i = 0; i < end; i++) dunlin_emit(context, event, name, number, (size_t)snprintf(number, sizeof number, "%d", i));
  } else if (is(step, "publish")) {
    return dunlin_publish(context, event, name, text.data, text.length, 1, 1);
  } else if (is(step, "set")) {
    /* The texts of the suite need no escapes. */
    char *json = malloc(text.length + 3);
    int length = sprintf(json, "\"%.*s\"", (int)text.length, text.data);
    int32_t failed = dunlin_state_set_json(context, event, name, dunlin_span_of(json, (size_t)length));
    free(json);
    return failed;
  } else if (is(step, "delete")) {
    return dunlin_state_delete(context, event, name);
  } else if (is(step, "get") || is(step, "size")) {
    char number[16];
    int form = 0;
    if (dunlin_state_get(context, event, name, &value, &form) != 0) add(to, "-", 1);
    else if (is(step, "size")) add(to, number, (size_t)snprintf(number, sizeof number, "%zu", value.length));
    else if (form == DUNLIN_FORM_JSON) add(to, value.data + 1, value.length - 2);
    else add(to, value.data, value.length);
  } else if (is(step, "fill")) {
    char *count = copy(text);
    size_t length = (size_t)atol(count);
    char *bytes = malloc(length + 1);
    int32_t failed;
    memset(bytes, 7, length);
    failed = dunlin_state_set(context, event, name, bytes, length);
    free(bytes);
    free(count);
    return failed;
  } else if (is(step, "log")) {
    int level = is(name, "debug") ? DUNLIN_DEBUG : is(name, "warn") ? DUNLIN_WARN : is(name, "error") ? DUNLIN_ERROR : DUNLIN_INFO;
    dunlin_log_with(context, level, text, dunlin_text(FIELDS));
  } else if (is(step, "print")) {
    printf("%.*s\n", (int)rest.length, rest.data);
  } else if (is(step, "call")) {
    const dunlin_record *called;
    char *line;
    int length;
    int32_t failed = dunlin_call_function(context, name, text.data, text.length, NULL, &called);
    if (failed != 0) return failed;
    value = dunlin_body(called);
    line = malloc(value.length + 16);
    length = sprintf(line, "%u %.*s", called->status, (int)value.length, value.data);
    add(to, line, (size_t)length);
    free(line);
  } else if (is(step, "raise")) {
    return DUNLIN_FAIL(context, event, rest);
  } else if (is(step, "status")) {
    char *number = copy(rest);
    to->status = (uint16_t)atoi(number);
    free(number);
  } else if (is(step, "header")) {
    to->headers[to->meta.header_count].name = name;
    to->headers[to->meta.header_count++].value = text;
  } else if (is(step, "type")) {
    to->meta.content_type = rest;
  } else if (is(step, "pid")) {
    char number[16];
    add(to, number, (size_t)snprintf(number, sizeof number, "%d", getpid()));
  } else if (is(step, "die")) {
    if (event->attempt == 1 || is(rest, "always")) die();
  } else if (is(step, "attempt")) {
    char number[16];
    return dunlin_emit(context, event, name, number, (size_t)snprintf(number, sizeof number, "%d", event->attempt));
  } else if (is(step, "spin")) {
    for (;;) __asm__ volatile("");
  } else if (is(step, "wait")) {
    char *path = copy(rest);
    while (!exists(path)) usleep(1000);
    free(path);
  }
  return 0;
}

DUNLIN_EXPORT int32_t dunlin_handle(dunlin_context *context, const dunlin_event *event) {
  dunlin_span body = dunlin_body(event), path = dunlin_path(event);
  answer to = {0};
  int32_t failed = 0;
  if (is(path, "/echo")) return dunlin_respond(context, event, 200, body.data, body.length);
  if (is(path, "/describe")) return describe(context, event);
  to.status = 200;
  to.meta.content_type = DUNLIN_TEXT("text/plain");
  to.meta.headers = to.headers;
  while (failed == 0 && body.length > 0) {
    const char *end = memchr(body.data, '\n', body.length);
    size_t length = end == NULL ? body.length : (size_t)(end - body.data);
    failed = run_step(context, event, dunlin_span_of(body.data, length), &to);
    body = dunlin_span_of(body.data + length + (end != NULL), body.length - length - (end != NULL));
  }
  if (failed == 0) dunlin_respond_with(context, event, to.status, to.text, to.length, &to.meta);
  free(to.text);
  return failed;
}
