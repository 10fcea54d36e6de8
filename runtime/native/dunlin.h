/*
 * dunlin.h: functions as native libraries (C, C++, Go, Rust, Zig: anything that makes a shared library with C symbols).
 *
 * A function library exports
 *
 *     uint32_t dunlin_abi(void);                                                            must be there: DUNLIN_DEFINE_ABI
 *     int32_t  dunlin_handle(dunlin_context *, const dunlin_event *);                       must be there
 *     int32_t  dunlin_handle_batch(dunlin_context *, const dunlin_event *const *, size_t);  optional
 *     int32_t  dunlin_init_context(dunlin_context *);                                       optional, once, before the first event
 *     void     dunlin_drain(dunlin_context *);                                              optional, when no more events come
 *     void     dunlin_terminate(dunlin_context *);                                          optional, last
 *
 * With `handler: libpump.so:on_pressure` the two handlers are called on_pressure and on_pressure_batch instead.
 *
 * What stays true
 *
 *   - One process runs one worker of one function. All six are called from one thread, one at a time, on a stack of 8 MiB.
 *   - Everything below is called with the context that was passed in, from that thread, before the function that got it has returned.
 *   - No globals: what a worker keeps between events hangs on context->user_data.
 *   - Pointers that you get (an event and all spans in it) are valid until your function returns. A state value and the answer of a call are
 *     valid until the next of them is asked for. Copy what you keep. Pointers that you give are read before the call returns.
 *   - Spans have explicit lengths and no NUL at the end. A span that is not there has data NULL and length 0.
 *   - Everything that you send for an event (emit, publish, state) takes effect together, when it has been answered with a status below 500.
 *   - Values are little-endian, pointers have 64 bits: the machines that the host runs on.
 *
 * What a function returns: 0 = done; anything else = failed, the event is retried. After dunlin_respond or DUNLIN_FAIL it does not matter.
 * Functions below that can fail return 0 or a negative DUNLIN_E value.
 *
 * docs/native.md tells the same in prose, with a whole example. This header needs no library of ours: link nothing.
 */
#ifndef DUNLIN_H
#define DUNLIN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of everything in this file that crosses the line. A host runs libraries of its own version only. */
#define DUNLIN_ABI 1

#define DUNLIN_EXPORT __attribute__((visibility("default")))

/* Once, in one file of the library. */
#define DUNLIN_DEFINE_ABI \
  DUNLIN_EXPORT uint32_t dunlin_abi(void) { return DUNLIN_ABI; }

#define DUNLIN_E_TOO_LARGE (-1) /* a head item over 64 KiB, a key over 255 bytes, a body over 64 MiB */
#define DUNLIN_E_REFUSED (-2)   /* not now: no event is being handled, or it has been answered already */
#define DUNLIN_E_ABSENT (-3)    /* there is no such key, header, field */
#define DUNLIN_E_FORM (-4)      /* the stored value has another form */
#define DUNLIN_E_GONE (-5)      /* nobody reads the streamed answer any more */

/* ---- What crosses the line ------------------------------------------------------------------------------------------------------- */

typedef struct dunlin_span {
  const char *data;
  size_t length;
} dunlin_span;

/*
 * A record: this header, then head_length bytes of items, then body_length bytes of body. Events come as records, and all that goes back
 * is one; docs/record.md is its specification and does not change. Read it with the functions below.
 */
typedef struct dunlin_record {
  uint32_t size;
  uint8_t kind;
  uint8_t flags; /* bits 0-1 QoS, 2 retained, 5 replayed after an outage, 6-7 quality of the clock: 0 unset, 1 floor, 2 synced */
  uint16_t status;
  uint64_t ticket; /* names the event in this process: keep it for dunlin_acknowledge */
  uint32_t head_length;
  uint32_t body_length;
  uint64_t time_us;      /* when it was accepted: microseconds since 1970 */
  uint64_t monotonic_ns; /* the same moment on the device's monotonic clock; compares within one boot */
  uint8_t id[16];        /* UUIDv7, the same over all attempts */
  uint16_t source;       /* index into context->triggers */
  uint16_t attempt;      /* the first is 1 */
  uint32_t boot;
} dunlin_record;

typedef dunlin_record dunlin_event;

typedef struct dunlin_trigger {
  const char *name;       /* NUL-terminated, as are the next two */
  const char *kind;       /* mqtt, http, cron, ... */
  const char *event_class; /* sync or async */
} dunlin_trigger;

/* One for each worker, from dunlin_init_context to dunlin_terminate. Later hosts may append fields. */
typedef struct dunlin_context {
  uint32_t abi;
  uint32_t size; /* of this struct, as the host knows it */

  void *user_data; /* yours; the host never looks at it */

  const char *function_name; /* NUL-terminated, valid for the life of the process, as are version and triggers */
  const char *function_version;
  const dunlin_trigger *triggers;
  uint32_t trigger_count;
  uint32_t worker_id;
  int32_t log_level; /* what is below it is not sent: 10 debug, 20 info, 30 warn, 40 error */

  /* The rest is for the functions below. Records gather in `out` and cross the line together: no call is made for each. */
  uint32_t out_length;
  uint32_t out_capacity;
  uint32_t reserved;
  uint8_t *out;
  const dunlin_record *answer;
  /* Takes all of `out`. `body` replaces the body of its last record, which is then not in `out`. 0, or a DUNLIN_E value. */
  int32_t (*send)(struct dunlin_context *context, const void *body, size_t length);
  /* The same, and waits for the answer to its last record. */
  int32_t (*ask)(struct dunlin_context *context, const void *body, size_t length);
} dunlin_context;

#if defined(__cplusplus)
static_assert(sizeof(dunlin_record) == 64 && sizeof(void *) == 8, "dunlin.h needs a 64-bit target");
#else
_Static_assert(sizeof(dunlin_record) == 64 && sizeof(void *) == 8, "dunlin.h needs a 64-bit target");
#endif

enum {
  DUNLIN_KIND_RESULT = 17,
  DUNLIN_KIND_EMIT = 18,
  DUNLIN_KIND_PUBLISH = 19,
  DUNLIN_KIND_STATE_SET = 20,
  DUNLIN_KIND_STATE_DELETE = 21,
  DUNLIN_KIND_STATE_GET = 22,
  DUNLIN_KIND_CALL = 23,
  DUNLIN_KIND_LOG = 24,
  DUNLIN_KIND_ACK = 26,
  DUNLIN_KIND_CHUNK = 27
};

enum {
  DUNLIN_TAG_TOPIC = 1,
  DUNLIN_TAG_CONTENT_TYPE = 2,
  DUNLIN_TAG_ORDER_KEY = 3,
  DUNLIN_TAG_METHOD = 4,
  DUNLIN_TAG_PATH = 5,
  DUNLIN_TAG_URL = 6,
  DUNLIN_TAG_HEADER = 7,
  DUNLIN_TAG_FIELD = 8,
  DUNLIN_TAG_TYPE = 9,
  DUNLIN_TAG_TYPE_VERSION = 10,
  DUNLIN_TAG_ERROR = 11,
  DUNLIN_TAG_STACK = 12,
  DUNLIN_TAG_STREAM = 13,
  DUNLIN_TAG_KEY = 14,
  DUNLIN_TAG_FUNCTION = 15,
  DUNLIN_TAG_LOG_FIELDS = 16,
  DUNLIN_TAG_SHARD_ID = 17,
  DUNLIN_TAG_NUM_SHARDS = 18,
  DUNLIN_TAG_OFFSET = 19
};

#define DUNLIN_DEBUG 10
#define DUNLIN_INFO 20
#define DUNLIN_WARN 30
#define DUNLIN_ERROR 40

#define DUNLIN_BODY_BYTES_MAX (64u << 20)
#define DUNLIN_FLAG_ABSENT 0x10
#define DUNLIN_FLAG_NO_ACK 0x01
#define DUNLIN_FLAG_RETAIN 0x04

/* ---- Spans ----------------------------------------------------------------------------------------------------------------------- */

/* Of a string literal: its length is known when it is compiled. */
#define DUNLIN_TEXT(literal) (dunlin_span_of("" literal, sizeof(literal) - 1))

static inline dunlin_span dunlin_span_of(const void *data, size_t length) {
  dunlin_span span;
  span.data = (const char *)data;
  span.length = length;
  return span;
}

/* Of a NUL-terminated string; NULL gives the empty span. */
static inline dunlin_span dunlin_text(const char *text) {
  return dunlin_span_of(text, text == NULL ? 0 : strlen(text));
}

static inline int dunlin_equals(dunlin_span a, dunlin_span b) {
  return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

/* ---- Reading an event (or any record) -------------------------------------------------------------------------------------------- */

static inline dunlin_span dunlin_body(const dunlin_record *record) {
  return dunlin_span_of((const char *)(record + 1) + record->head_length, record->body_length);
}

/* Walks the items: begin with *at = 0. 1 while there is one. `key` and `value` point into the record. */
static inline int dunlin_next_item(const dunlin_record *record, size_t *at, uint8_t *tag, dunlin_span *key, dunlin_span *value) {
  const uint8_t *item = (const uint8_t *)(record + 1) + *at;
  size_t left = *at <= record->head_length ? record->head_length - *at : 0;
  size_t key_length, value_length;
  if (left < 4) return 0;
  key_length = item[1];
  value_length = (size_t)item[2] | ((size_t)item[3] << 8);
  if (left - 4 < key_length + value_length) return 0;
  *tag = item[0];
  *key = dunlin_span_of(item + 4, key_length);
  *value = dunlin_span_of(item + 4 + key_length, value_length);
  *at += 4 + key_length + value_length;
  return 1;
}

/* The first item of `tag`; the empty span with data NULL when there is none. */
static inline dunlin_span dunlin_item(const dunlin_record *record, uint8_t tag) {
  size_t at = 0;
  uint8_t found;
  dunlin_span key, value;
  while (dunlin_next_item(record, &at, &found, &key, &value))
    if (found == tag) return value;
  return dunlin_span_of(NULL, 0);
}

/* The first item of `tag` and `key`; ASCII letters of the key compare without case where `any_case`. */
static inline dunlin_span dunlin_keyed_item(const dunlin_record *record, uint8_t tag, dunlin_span wanted, int any_case) {
  size_t at = 0, i;
  uint8_t found;
  dunlin_span key, value;
  while (dunlin_next_item(record, &at, &found, &key, &value)) {
    if (found != tag || key.length != wanted.length) continue;
    for (i = 0; i < key.length; i++) {
      unsigned char a = (unsigned char)key.data[i], b = (unsigned char)wanted.data[i];
      if (any_case && a >= 'A' && a <= 'Z') a = (unsigned char)(a | 0x20);
      if (any_case && b >= 'A' && b <= 'Z') b = (unsigned char)(b | 0x20);
      if (a != b) break;
    }
    if (i == key.length) return value;
  }
  return dunlin_span_of(NULL, 0);
}

static inline dunlin_span dunlin_topic(const dunlin_event *event) { return dunlin_item(event, DUNLIN_TAG_TOPIC); }
static inline dunlin_span dunlin_content_type(const dunlin_record *record) { return dunlin_item(record, DUNLIN_TAG_CONTENT_TYPE); }
static inline dunlin_span dunlin_method(const dunlin_event *event) { return dunlin_item(event, DUNLIN_TAG_METHOD); }
static inline dunlin_span dunlin_path(const dunlin_event *event) { return dunlin_item(event, DUNLIN_TAG_PATH); }
static inline dunlin_span dunlin_url(const dunlin_event *event) { return dunlin_item(event, DUNLIN_TAG_URL); }
static inline dunlin_span dunlin_type(const dunlin_event *event) { return dunlin_item(event, DUNLIN_TAG_TYPE); }
static inline dunlin_span dunlin_type_version(const dunlin_event *event) { return dunlin_item(event, DUNLIN_TAG_TYPE_VERSION); }

/* What keeps its order: the order key, or the topic when the event has none of its own. */
static inline dunlin_span dunlin_order_key(const dunlin_event *event) {
  dunlin_span key = dunlin_item(event, DUNLIN_TAG_ORDER_KEY);
  return key.data != NULL ? key : dunlin_topic(event);
}

static inline dunlin_span dunlin_header(const dunlin_record *record, dunlin_span name) {
  return dunlin_keyed_item(record, DUNLIN_TAG_HEADER, name, 1);
}

/* Of a URL's query. */
static inline dunlin_span dunlin_field(const dunlin_event *event, dunlin_span name) {
  return dunlin_keyed_item(event, DUNLIN_TAG_FIELD, name, 0);
}

static inline int dunlin_qos(const dunlin_event *event) { return event->flags & 3; }
static inline int dunlin_is_retained(const dunlin_event *event) { return (event->flags >> 2) & 1; }
static inline int dunlin_is_replayed(const dunlin_event *event) { return (event->flags >> 5) & 1; }
static inline int dunlin_clock_quality(const dunlin_event *event) { return event->flags >> 6; }

/* The id as text: 36 characters and a NUL. */
static inline void dunlin_id_text(const dunlin_event *event, char text[37]) {
  static const char digits[] = "0123456789abcdef";
  size_t at = 0;
  int i;
  for (i = 0; i < 16; i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text[at++] = '-';
    text[at++] = digits[event->id[i] >> 4];
    text[at++] = digits[event->id[i] & 15];
  }
  text[at] = '\0';
}

static inline const dunlin_trigger *dunlin_trigger_of(const dunlin_context *context, const dunlin_event *event) {
  return &context->triggers[event->source < context->trigger_count ? event->source : 0];
}

/* ---- Writing records: what the functions below are made of ------------------------------------------------------------------------ */

/*
 * dunlin_open starts a record, dunlin_add adds its items, dunlin_close adds the body. Nothing else may be called in between; after a
 * failure the record is gone.
 */
static inline int32_t dunlin_open(dunlin_context *context, uint8_t kind, uint64_t ticket, uint16_t status, uint8_t flags) {
  dunlin_record *record;
  int32_t failed;
  if (context->out_capacity - context->out_length < sizeof(dunlin_record)) {
    failed = context->send(context, NULL, 0);
    if (failed != 0) return failed;
  }
  record = (dunlin_record *)(void *)(context->out + context->out_length);
  memset(record, 0, sizeof *record);
  record->kind = kind;
  record->ticket = ticket;
  record->status = status;
  record->flags = flags;
  record->size = sizeof(dunlin_record);
  return 0;
}

static inline dunlin_record *dunlin_opened(dunlin_context *context) {
  return (dunlin_record *)(void *)(context->out + context->out_length);
}

/* Moves the open record to the front of `out` after sending what is before it. */
static inline int32_t dunlin_make_room(dunlin_context *context, size_t more) {
  dunlin_record *record = dunlin_opened(context);
  size_t length = sizeof(dunlin_record) + record->head_length, before = context->out_length;
  int32_t failed;
  if (context->out_capacity - before - length >= more) return 0;
  if (context->out_capacity - length < more) return DUNLIN_E_TOO_LARGE;
  failed = context->send(context, NULL, 0);
  if (failed == 0) memmove(context->out, context->out + before, length);
  return failed;
}

static inline int32_t dunlin_add(dunlin_context *context, uint8_t tag, dunlin_span key, dunlin_span value) {
  dunlin_record *record;
  uint8_t *item;
  int32_t failed;
  if (key.length > 255 || value.length > 65535) return DUNLIN_E_TOO_LARGE;
  failed = dunlin_make_room(context, 4 + key.length + value.length);
  if (failed != 0) return failed;
  record = dunlin_opened(context);
  item = (uint8_t *)(record + 1) + record->head_length;
  item[0] = tag;
  item[1] = (uint8_t)key.length;
  item[2] = (uint8_t)(value.length & 255);
  item[3] = (uint8_t)(value.length >> 8);
  if (key.length > 0) memcpy(item + 4, key.data, key.length);
  if (value.length > 0) memcpy(item + 4 + key.length, value.data, value.length);
  record->head_length += (uint32_t)(4 + key.length + value.length);
  return 0;
}

/* A body of 32 KiB and more is not copied here: the host takes it from where it is. */
#define DUNLIN_COPIED_BODY_MAX 32768u

static inline int32_t dunlin_close(dunlin_context *context, const void *body, size_t length, int ask) {
  dunlin_record *record;
  size_t used;
  int32_t failed;
  if (length > DUNLIN_BODY_BYTES_MAX) return DUNLIN_E_TOO_LARGE;
  if (length < DUNLIN_COPIED_BODY_MAX) {
    failed = dunlin_make_room(context, length + 8);
    if (failed != 0) return failed;
  }
  record = dunlin_opened(context);
  used = sizeof(dunlin_record) + record->head_length;
  record->body_length = (uint32_t)length;
  if (length >= DUNLIN_COPIED_BODY_MAX) {
    /* out_length counts whole records: of this one the header and head alone. */
    record->size = (uint32_t)used;
    context->out_length += (uint32_t)used;
    return ask ? context->ask(context, body, length) : context->send(context, body, length);
  }
  if (length > 0) memcpy((uint8_t *)record + used, body, length);
  memset((uint8_t *)record + used + length, 0, 7);
  record->size = (uint32_t)((used + length + 7) & ~(size_t)7);
  context->out_length += record->size;
  return ask ? context->ask(context, NULL, 0) : 0;
}

/* A text that may not be longer than a head item. */
static inline dunlin_span dunlin_cut(dunlin_span text, size_t max) {
  if (text.length > max) text.length = max;
  return text;
}

/* ---- Answering ------------------------------------------------------------------------------------------------------------------- */

typedef struct dunlin_header_pair {
  dunlin_span name;
  dunlin_span value;
} dunlin_header_pair;

/* What goes beside a body; all of it may be left out, and so may a pointer to it (NULL). */
typedef struct dunlin_meta {
  dunlin_span content_type;
  const dunlin_header_pair *headers;
  size_t header_count;
} dunlin_meta;

static inline int32_t dunlin_add_meta(dunlin_context *context, const dunlin_meta *meta) {
  size_t i;
  int32_t failed = 0;
  if (meta == NULL) return 0;
  if (meta->content_type.length > 0)
    failed = dunlin_add(context, DUNLIN_TAG_CONTENT_TYPE, dunlin_span_of(NULL, 0), meta->content_type);
  for (i = 0; failed == 0 && i < meta->header_count; i++)
    failed = dunlin_add(context, DUNLIN_TAG_HEADER, meta->headers[i].name, meta->headers[i].value);
  return failed;
}

/* The answer to the event: once. Status 500 and more: failed, and nothing that was sent for it happens. */
static inline int32_t dunlin_respond_with(dunlin_context *context, const dunlin_event *event, uint16_t status, const void *body,
                                          size_t length, const dunlin_meta *meta) {
  int32_t failed = dunlin_open(context, DUNLIN_KIND_RESULT, event->ticket, status, 0);
  if (failed == 0) failed = dunlin_add_meta(context, meta);
  return failed != 0 ? failed : dunlin_close(context, body, length, 0);
}

static inline int32_t dunlin_respond(dunlin_context *context, const dunlin_event *event, uint16_t status, const void *body,
                                     size_t length) {
  return dunlin_respond_with(context, event, status, body, length, NULL);
}

/*
 * The event failed, for this reason, here. Returns 1: `return DUNLIN_FAIL(context, event, DUNLIN_TEXT("no sensor"));`
 * In dunlin_init_context, where there is no event, pass NULL: the worker does not start, and says why.
 */
#define DUNLIN_FAIL(context, event, reason) dunlin_fail_at(context, event, reason, DUNLIN_TEXT("at " __FILE__ ":" DUNLIN_DIGITS(__LINE__)))
#define DUNLIN_DIGITS(line) DUNLIN_QUOTED(line)
#define DUNLIN_QUOTED(line) #line

static inline int32_t dunlin_fail_at(dunlin_context *context, const dunlin_event *event, dunlin_span reason, dunlin_span stack) {
  int32_t failed = dunlin_open(context, DUNLIN_KIND_RESULT, event == NULL ? 0 : event->ticket, 500, 0);
  if (failed == 0) failed = dunlin_add(context, DUNLIN_TAG_ERROR, dunlin_span_of(NULL, 0), dunlin_cut(reason, 4096));
  if (failed == 0 && stack.length > 0) failed = dunlin_add(context, DUNLIN_TAG_STACK, dunlin_span_of(NULL, 0), dunlin_cut(stack, 16384));
  if (failed == 0) (void)dunlin_close(context, NULL, 0, 0);
  return 1;
}

/*
 * explicitAckMode: answers the event and leaves it unacknowledged: it comes again unless dunlin_acknowledge follows, now or while a later
 * event is handled. Keep event->ticket for it.
 */
static inline int32_t dunlin_respond_unacknowledged(dunlin_context *context, const dunlin_event *event, uint16_t status, const void *body,
                                                    size_t length) {
  int32_t failed = dunlin_open(context, DUNLIN_KIND_RESULT, event->ticket, status, DUNLIN_FLAG_NO_ACK);
  return failed != 0 ? failed : dunlin_close(context, body, length, 0);
}

/* Status 200: done. 500 and more: it failed, and is retried. */
static inline int32_t dunlin_acknowledge(dunlin_context *context, uint64_t ticket, uint16_t status) {
  int32_t failed = dunlin_open(context, DUNLIN_KIND_ACK, ticket, status, 0);
  return failed != 0 ? failed : dunlin_close(context, NULL, 0, 0);
}

/*
 * A streamed answer: dunlin_stream begins it, dunlin_write sends parts, and the handler's return ends it: 0, or something else where it
 * broke off, which its reader is told. dunlin_write waits while the reader is slow.
 */
static inline int32_t dunlin_stream(dunlin_context *context, const dunlin_event *event, uint16_t status, const dunlin_meta *meta) {
  int32_t failed = dunlin_open(context, DUNLIN_KIND_CHUNK, event->ticket, status, 0);
  if (failed == 0) failed = dunlin_add_meta(context, meta);
  if (failed == 0) failed = dunlin_close(context, NULL, 0, 0);
  return failed != 0 ? failed : context->send(context, NULL, 0);
}

static inline int32_t dunlin_write(dunlin_context *context, const dunlin_event *event, const void *data, size_t length) {
  const char *at = (const char *)data;
  while (length > 0) {
    size_t part = length < DUNLIN_COPIED_BODY_MAX ? length : DUNLIN_COPIED_BODY_MAX - 1;
    int32_t failed = dunlin_open(context, DUNLIN_KIND_CHUNK, event->ticket, 0, 0);
    if (failed == 0) failed = dunlin_close(context, at, part, 0);
    if (failed == 0) failed = context->send(context, NULL, 0);
    if (failed != 0) return failed;
    at += part;
    length -= part;
  }
  return 0;
}

/* ---- What an event causes: kept when it succeeds ---------------------------------------------------------------------------------- */

/* Appends to a stream, which goes to the hub. */
static inline int32_t dunlin_emit_with(dunlin_context *context, const dunlin_event *event, dunlin_span stream, const void *body,
                                       size_t length, const dunlin_meta *meta) {
  int32_t failed = dunlin_open(context, DUNLIN_KIND_EMIT, event->ticket, 0, 0);
  if (failed == 0) failed = dunlin_add(context, DUNLIN_TAG_STREAM, dunlin_span_of(NULL, 0), stream);
  if (failed == 0) failed = dunlin_add_meta(context, meta);
  return failed != 0 ? failed : dunlin_close(context, body, length, 0);
}

static inline int32_t dunlin_emit(dunlin_context *context, const dunlin_event *event, dunlin_span stream, const void *body,
                                  size_t length) {
  return dunlin_emit_with(context, event, stream, body, length, NULL);
}

/* To MQTT clients and functions of this device. `qos` is 0 or 1. */
static inline int32_t dunlin_publish(dunlin_context *context, const dunlin_event *event, dunlin_span topic, const void *body,
                                     size_t length, int qos, int retain) {
  uint8_t flags = (uint8_t)((qos & 1) | (retain ? DUNLIN_FLAG_RETAIN : 0));
  int32_t failed = dunlin_open(context, DUNLIN_KIND_PUBLISH, event->ticket, 0, flags);
  if (failed == 0) failed = dunlin_add(context, DUNLIN_TAG_TOPIC, dunlin_span_of(NULL, 0), topic);
  return failed != 0 ? failed : dunlin_close(context, body, length, 0);
}

/* ---- State: values of the function --------------------------------------------------------------------------------------------------- */

#define DUNLIN_FORM_BYTES 0
#define DUNLIN_FORM_JSON 1

/* JSON is what functions in other languages read and write as objects; bytes are bytes everywhere. */
static inline int32_t dunlin_state_put(dunlin_context *context, const dunlin_event *event, dunlin_span key, uint8_t form,
                                       const void *value, size_t length) {
  /* The status tells the form; the host puts it in front of the value, as it is stored. */
  int32_t failed = dunlin_open(context, DUNLIN_KIND_STATE_SET, event->ticket, form, 0);
  if (failed == 0) failed = dunlin_add(context, DUNLIN_TAG_KEY, dunlin_span_of(NULL, 0), key);
  return failed != 0 ? failed : dunlin_close(context, value, length, 0);
}

static inline int32_t dunlin_state_set(dunlin_context *context, const dunlin_event *event, dunlin_span key, const void *value,
                                       size_t length) {
  return dunlin_state_put(context, event, key, DUNLIN_FORM_BYTES, value, length);
}

static inline int32_t dunlin_state_set_json(dunlin_context *context, const dunlin_event *event, dunlin_span key, dunlin_span json) {
  return dunlin_state_put(context, event, key, DUNLIN_FORM_JSON, json.data, json.length);
}

static inline int32_t dunlin_state_delete(dunlin_context *context, const dunlin_event *event, dunlin_span key) {
  int32_t failed = dunlin_open(context, DUNLIN_KIND_STATE_DELETE, event->ticket, 0, 0);
  if (failed == 0) failed = dunlin_add(context, DUNLIN_TAG_KEY, dunlin_span_of(NULL, 0), key);
  return failed != 0 ? failed : dunlin_close(context, NULL, 0, 0);
}

/* 0, or DUNLIN_E_ABSENT: no such key, and an empty `value`. Waits for the agent where the host does not know the value. `form` may be NULL. */
static inline int32_t dunlin_state_get(dunlin_context *context, const dunlin_event *event, dunlin_span key, dunlin_span *value, int *form) {
  dunlin_span stored;
  int32_t failed;
  *value = dunlin_span_of(NULL, 0);
  failed = dunlin_open(context, DUNLIN_KIND_STATE_GET, event->ticket, 0, 0);
  if (failed == 0) failed = dunlin_add(context, DUNLIN_TAG_KEY, dunlin_span_of(NULL, 0), key);
  if (failed == 0) failed = dunlin_close(context, NULL, 0, 1);
  if (failed != 0) return failed;
  stored = dunlin_body(context->answer);
  if ((context->answer->flags & DUNLIN_FLAG_ABSENT) != 0 || stored.length == 0) return DUNLIN_E_ABSENT;
  if (form != NULL) *form = stored.data[0] == DUNLIN_FORM_BYTES ? DUNLIN_FORM_BYTES : DUNLIN_FORM_JSON;
  /* The first guests stored JSON without a form byte. */
  *value = (unsigned char)stored.data[0] > DUNLIN_FORM_JSON ? stored : dunlin_span_of(stored.data + 1, stored.length - 1);
  return 0;
}

/* Copies a value of exactly `length` bytes (a struct, a number) into `target`. 0, DUNLIN_E_ABSENT, or DUNLIN_E_FORM. */
static inline int32_t dunlin_state_read(dunlin_context *context, const dunlin_event *event, dunlin_span key, void *target, size_t length) {
  dunlin_span value = dunlin_span_of(NULL, 0);
  int form = 0;
  int32_t failed = dunlin_state_get(context, event, key, &value, &form);
  if (failed != 0) return failed;
  if (form != DUNLIN_FORM_BYTES || value.length != length) return DUNLIN_E_FORM;
  memcpy(target, value.data, length);
  return 0;
}

/* ---- Other functions, and the log --------------------------------------------------------------------------------------------------- */

/* Calls another function of this device and waits. The answer's status is in (*answer)->status, its body in dunlin_body(*answer). */
static inline int32_t dunlin_call_function(dunlin_context *context, dunlin_span name, const void *body, size_t length,
                                           const dunlin_meta *meta, const dunlin_record **answer) {
  int32_t failed = dunlin_open(context, DUNLIN_KIND_CALL, 0, 0, 0);
  if (failed == 0) failed = dunlin_add(context, DUNLIN_TAG_FUNCTION, dunlin_span_of(NULL, 0), name);
  if (failed == 0) failed = dunlin_add_meta(context, meta);
  if (failed == 0) failed = dunlin_close(context, body, length, 1);
  *answer = failed == 0 ? context->answer : NULL;
  return failed;
}

/* `fields` is a JSON object or empty. What is below the function's level costs a comparison. */
static inline void dunlin_log_with(dunlin_context *context, int32_t level, dunlin_span text, dunlin_span fields) {
  if (level < context->log_level) return;
  if (dunlin_open(context, DUNLIN_KIND_LOG, 0, (uint16_t)level, 0) != 0) return;
  if (fields.length > 0 && fields.length <= 16384 &&
      dunlin_add(context, DUNLIN_TAG_LOG_FIELDS, dunlin_span_of(NULL, 0), fields) != 0)
    return;
  /* At once: a line tells what happened before a crash. */
  if (dunlin_close(context, text.data, dunlin_cut(text, 16384).length, 0) == 0) (void)context->send(context, NULL, 0);
}

static inline void dunlin_log(dunlin_context *context, int32_t level, dunlin_span text) {
  dunlin_log_with(context, level, text, dunlin_span_of(NULL, 0));
}

#ifdef __cplusplus
}
#endif
#endif
