package main

/*
#cgo CFLAGS: -I${SRCDIR}
#include "dunlin.h"

// cgo lets pointers to Go memory in as arguments, and nowhere else: so texts come as pointer and length, not in a struct.
static dunlin_span span(const void *data, size_t length) { return dunlin_span_of(data, length); }

static int32_t add(dunlin_context *context, uint8_t tag, const void *key, size_t key_length, const void *value, size_t value_length) {
  return dunlin_add(context, tag, span(key, key_length), span(value, value_length));
}

static int32_t emit(dunlin_context *context, const dunlin_event *event, const void *stream, size_t stream_length, const void *body,
                    size_t length) {
  return dunlin_emit(context, event, span(stream, stream_length), body, length);
}

static int32_t publish(dunlin_context *context, const dunlin_event *event, const void *topic, size_t topic_length, const void *body,
                       size_t length, int qos, int retain) {
  return dunlin_publish(context, event, span(topic, topic_length), body, length, qos, retain);
}

static int32_t state_set(dunlin_context *context, const dunlin_event *event, const void *key, size_t key_length, const void *value,
                         size_t length) {
  return dunlin_state_set(context, event, span(key, key_length), value, length);
}

static int32_t state_delete(dunlin_context *context, const dunlin_event *event, const void *key, size_t key_length) {
  return dunlin_state_delete(context, event, span(key, key_length));
}

static int32_t state_get(dunlin_context *context, const dunlin_event *event, const void *key, size_t key_length, dunlin_span *value) {
  return dunlin_state_get(context, event, span(key, key_length), value, NULL);
}

static void write_log(dunlin_context *context, int32_t level, const void *text, size_t length, const void *fields, size_t fields_length) {
  dunlin_log_with(context, level, span(text, length), span(fields, fields_length));
}

static int32_t open_record(dunlin_context *context, uint8_t kind, uint64_t ticket, uint16_t status) {
  return dunlin_open(context, kind, ticket, status, 0);
}

static int32_t fail(dunlin_context *context, const dunlin_event *event, int status, const void *reason, size_t length, const void *stack,
                    size_t stack_length) {
  int32_t failed = dunlin_open(context, DUNLIN_KIND_RESULT, event == NULL ? 0 : event->ticket, (uint16_t)status, 0);
  if (failed == 0) failed = dunlin_add(context, DUNLIN_TAG_ERROR, span(NULL, 0), dunlin_cut(span(reason, length), 4096));
  if (failed == 0 && stack_length > 0)
    failed = dunlin_add(context, DUNLIN_TAG_STACK, span(NULL, 0), dunlin_cut(span(stack, stack_length), 16384));
  if (failed == 0) (void)dunlin_close(context, NULL, 0, 0);
  return 1;
}
*/
import "C"

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unsafe"

	"github.com/nuclio/logger"
	"github.com/nuclio/nuclio-sdk-go"
)

func dunlinNewContext(h *dunlinHost, native *C.dunlin_context) *nuclio.Context {
	context := nuclio.NewContext(h)
	context.WorkerID = int(native.worker_id)
	context.FunctionName = C.GoString(native.function_name)
	// Nuclio's versions are numbers; one that is none is 0.
	context.FunctionVersion, _ = strconv.Atoi(C.GoString(native.function_version))
	if native.trigger_count > 0 {
		context.TriggerName, context.TriggerKind = C.GoString(native.triggers.name), C.GoString(native.triggers.kind)
	}
	return context
}

// at gives C a pointer into Go memory that it uses during one call only.
func at(bytes []byte) (unsafe.Pointer, C.size_t) {
	if len(bytes) == 0 {
		return nil, 0
	}
	return unsafe.Pointer(&bytes[0]), C.size_t(len(bytes))
}

func dunlinError(what string, code C.int32_t) error {
	switch code {
	case 0:
		return nil
	case C.DUNLIN_E_TOO_LARGE:
		return errors.New(what + ": too large")
	case C.DUNLIN_E_REFUSED:
		return errors.New(what + ": no event is being handled")
	default:
		return fmt.Errorf("%s: error %d", what, int(code))
	}
}

// inEvent runs a call that belongs to the event being handled.
func (h *dunlinHost) inEvent(what string, call func() C.int32_t) error {
	code := C.int32_t(C.DUNLIN_E_REFUSED)
	h.do(func() {
		if h.event != nil {
			code = call()
		}
	})
	return dunlinError(what, code)
}

func (h *dunlinHost) Emit(stream string, body []byte, contentType string) error {
	name, nameLength := at([]byte(stream))
	data, length := at(body)
	return h.inEvent("Cannot emit to "+stream, func() C.int32_t { return C.emit(h.native, h.event, name, nameLength, data, length) })
}

func (h *dunlinHost) Publish(topic string, body []byte, qos int, retain bool) error {
	name, nameLength := at([]byte(topic))
	data, length := at(body)
	retained := C.int(0)
	if retain {
		retained = 1
	}
	return h.inEvent("Cannot publish to "+topic, func() C.int32_t {
		return C.publish(h.native, h.event, name, nameLength, data, length, C.int(qos), retained)
	})
}

func (h *dunlinHost) StateSet(key string, value []byte) error {
	name, nameLength := at([]byte(key))
	data, length := at(value)
	return h.inEvent("Cannot set "+key, func() C.int32_t { return C.state_set(h.native, h.event, name, nameLength, data, length) })
}

func (h *dunlinHost) StateDelete(key string) error {
	name, nameLength := at([]byte(key))
	return h.inEvent("Cannot delete "+key, func() C.int32_t { return C.state_delete(h.native, h.event, name, nameLength) })
}

func (h *dunlinHost) StateGet(key string) ([]byte, bool, error) {
	name, nameLength := at([]byte(key))
	var value []byte
	isThere := false
	err := h.inEvent("Cannot get "+key, func() C.int32_t {
		var span C.dunlin_span
		code := C.state_get(h.native, h.event, name, nameLength, &span)
		if code == C.DUNLIN_E_ABSENT {
			return 0
		}
		if code == 0 {
			value, isThere = C.GoBytes(unsafe.Pointer(span.data), C.int(span.length)), true
		}
		return code
	})
	return value, isThere, err
}

func (h *dunlinHost) CallFunction(name string, event nuclio.Event) (*nuclio.Response, error) {
	var response *nuclio.Response
	code := C.int32_t(0)
	h.do(func() {
		code = C.open_record(h.native, C.DUNLIN_KIND_CALL, 0, 0)
		add := func(tag C.uint8_t, key, value string) {
			if code == 0 && value != "" {
				code = dunlinAdd(h.native, tag, key, value)
			}
		}
		add(C.DUNLIN_TAG_FUNCTION, "", name)
		add(C.DUNLIN_TAG_METHOD, "", event.GetMethod())
		add(C.DUNLIN_TAG_PATH, "", event.GetPath())
		add(C.DUNLIN_TAG_CONTENT_TYPE, "", event.GetContentType())
		for key, value := range event.GetHeaders() {
			add(C.DUNLIN_TAG_HEADER, key, dunlinString(value))
		}
		data, length := at(event.GetBody())
		if code == 0 {
			code = C.dunlin_close(h.native, data, length, 1)
		}
		if code == 0 {
			response = dunlinResponseOf(h.native.answer)
		}
	})
	if err := dunlinError("Cannot call "+name, code); err != nil {
		return nil, err
	}
	return response, nil
}

func dunlinResponseOf(record *C.dunlin_record) *nuclio.Response {
	answer := &dunlinEvent{record: record}
	contentType := answer.GetContentType()
	if contentType == "" {
		contentType = "text/plain"
	}
	return &nuclio.Response{StatusCode: int(record.status), ContentType: contentType, Headers: answer.GetHeaders(), Body: answer.GetBody()}
}

func dunlinAdd(native *C.dunlin_context, tag C.uint8_t, key, value string) C.int32_t {
	keyData, keyLength := at([]byte(key))
	valueData, valueLength := at([]byte(value))
	return C.add(native, tag, keyData, keyLength, valueData, valueLength)
}

func dunlinString(value interface{}) string {
	switch typed := value.(type) {
	case string:
		return typed
	case []byte:
		return string(typed)
	default:
		return fmt.Sprint(value)
	}
}

// dunlinFail answers with an error. Below 500 the event has been handled, and the text is the answer, as Nuclio has it.
func dunlinFail(native *C.dunlin_context, event *C.dunlin_event, status int, reason, stack string) C.int32_t {
	if status < 500 && event != nil {
		if err := dunlinSend(native, event, status, "text/plain", nil, []byte(reason)); err == nil {
			return 0
		}
		status = 500
	}
	text, length := at([]byte(reason))
	trace, traceLength := at([]byte(stack))
	return C.fail(native, event, C.int(status), text, length, trace, traceLength)
}

// dunlinRespond takes every form that a handler may return.
func dunlinRespond(native *C.dunlin_context, event *C.dunlin_event, answer interface{}) error {
	switch typed := answer.(type) {
	case nil:
		return nil
	case nuclio.Response:
		return dunlinSend(native, event, typed.StatusCode, typed.ContentType, typed.Headers, typed.Body)
	case *nuclio.Response:
		if typed == nil {
			return nil
		}
		return dunlinSend(native, event, typed.StatusCode, typed.ContentType, typed.Headers, typed.Body)
	case string:
		return dunlinSend(native, event, 200, "text/plain", nil, []byte(typed))
	case []byte:
		return dunlinSend(native, event, 200, "", nil, typed)
	default:
		body, err := json.Marshal(answer)
		if err != nil {
			return err
		}
		return dunlinSend(native, event, 200, "application/json", nil, body)
	}
}

// dunlinItems opens a record with what stands before its body.
func dunlinItems(native *C.dunlin_context, event *C.dunlin_event, kind C.uint8_t, status int, contentType string, headers map[string]interface{}) C.int32_t {
	if status == 0 {
		status = 200
	}
	code := C.open_record(native, kind, event.ticket, C.uint16_t(status))
	if code == 0 && contentType != "" {
		code = dunlinAdd(native, C.DUNLIN_TAG_CONTENT_TYPE, "", contentType)
	}
	for key, value := range headers {
		if code == 0 {
			code = dunlinAdd(native, C.DUNLIN_TAG_HEADER, key, dunlinString(value))
		}
	}
	return code
}

// dunlinHead is a record without a body.
func dunlinHead(native *C.dunlin_context, event *C.dunlin_event, kind C.uint8_t, status int, contentType string, headers map[string]interface{}) C.int32_t {
	code := dunlinItems(native, event, kind, status, contentType, headers)
	if code == 0 {
		code = C.dunlin_close(native, nil, 0, 0)
	}
	return code
}

func dunlinSend(native *C.dunlin_context, event *C.dunlin_event, status int, contentType string, headers map[string]interface{}, body []byte) error {
	code := dunlinItems(native, event, C.DUNLIN_KIND_RESULT, status, contentType, headers)
	if code == 0 {
		data, length := at(body)
		code = C.dunlin_close(native, data, length, 0)
	}
	return dunlinError("Cannot answer", code)
}

// stream sends what a ResponseStream is given, as it comes. A reader that is gone ends it.
func (h *dunlinHost) stream(answer *nuclio.ResponseStream) error {
	reader, ok := answer.GetBody().(io.ReadCloser)
	if !ok || reader == nil {
		return errors.New("Cannot answer with a stream that has no reader")
	}
	defer reader.Close()
	if err := h.inEvent("Cannot stream", func() C.int32_t {
		return dunlinHead(h.native, h.event, C.DUNLIN_KIND_CHUNK, answer.GetStatusCode(), answer.GetContentType(), answer.GetHeaders())
	}); err != nil {
		return err
	}
	part := make([]byte, 32<<10)
	for {
		read, failed := reader.Read(part)
		if read > 0 {
			code := C.int32_t(0)
			h.do(func() { code = C.dunlin_write(h.native, h.event, unsafe.Pointer(&part[0]), C.size_t(read)) })
			if code == C.DUNLIN_E_GONE {
				return nil
			}
			if err := dunlinError("Cannot stream", code); err != nil {
				return err
			}
		}
		if failed == io.EOF {
			return nil
		}
		if failed != nil {
			return failed
		}
	}
}

// dunlinLogger sends each line at once.
type dunlinLogger struct {
	host *dunlinHost
	name string
}

func (h *dunlinHost) Logger() logger.Logger { return &dunlinLogger{host: h} }

func (l *dunlinLogger) write(level C.int32_t, text string, fields map[string]interface{}) {
	if level < l.host.native.log_level {
		return
	}
	if l.name != "" {
		if fields == nil {
			fields = map[string]interface{}{}
		}
		fields["logger"] = l.name
	}
	var encoded []byte
	if len(fields) > 0 {
		encoded, _ = json.Marshal(fields)
	}
	l.host.do(func() {
		data, length := at([]byte(text))
		fieldData, fieldLength := at(encoded)
		C.write_log(l.host.native, level, data, length, fieldData, fieldLength)
	})
}

func (l *dunlinLogger) line(level C.int32_t, format interface{}, vars []interface{}) {
	text := dunlinString(format)
	if len(vars) > 0 {
		text = fmt.Sprintf(text, vars...)
	}
	l.write(level, text, nil)
}

func (l *dunlinLogger) with(level C.int32_t, format interface{}, vars []interface{}) {
	fields := map[string]interface{}{}
	for i := 0; i+1 < len(vars); i += 2 {
		fields[dunlinString(vars[i])] = dunlinField(vars[i+1])
	}
	l.write(level, dunlinString(format), fields)
}

// dunlinField keeps what JSON can say, and the text of what it cannot.
func dunlinField(value interface{}) interface{} {
	if err, ok := value.(error); ok {
		return err.Error()
	}
	if _, err := json.Marshal(value); err != nil {
		return fmt.Sprint(value)
	}
	return value
}

func (l *dunlinLogger) Error(format interface{}, vars ...interface{}) {
	l.line(C.DUNLIN_ERROR, format, vars)
}
func (l *dunlinLogger) Warn(format interface{}, vars ...interface{}) {
	l.line(C.DUNLIN_WARN, format, vars)
}
func (l *dunlinLogger) Info(format interface{}, vars ...interface{}) {
	l.line(C.DUNLIN_INFO, format, vars)
}
func (l *dunlinLogger) Debug(format interface{}, vars ...interface{}) {
	l.line(C.DUNLIN_DEBUG, format, vars)
}

func (l *dunlinLogger) ErrorCtx(_ context.Context, format interface{}, vars ...interface{}) {
	l.line(C.DUNLIN_ERROR, format, vars)
}
func (l *dunlinLogger) WarnCtx(_ context.Context, format interface{}, vars ...interface{}) {
	l.line(C.DUNLIN_WARN, format, vars)
}
func (l *dunlinLogger) InfoCtx(_ context.Context, format interface{}, vars ...interface{}) {
	l.line(C.DUNLIN_INFO, format, vars)
}
func (l *dunlinLogger) DebugCtx(_ context.Context, format interface{}, vars ...interface{}) {
	l.line(C.DUNLIN_DEBUG, format, vars)
}

func (l *dunlinLogger) ErrorWith(format interface{}, vars ...interface{}) {
	l.with(C.DUNLIN_ERROR, format, vars)
}
func (l *dunlinLogger) WarnWith(format interface{}, vars ...interface{}) {
	l.with(C.DUNLIN_WARN, format, vars)
}
func (l *dunlinLogger) InfoWith(format interface{}, vars ...interface{}) {
	l.with(C.DUNLIN_INFO, format, vars)
}
func (l *dunlinLogger) DebugWith(format interface{}, vars ...interface{}) {
	l.with(C.DUNLIN_DEBUG, format, vars)
}

func (l *dunlinLogger) ErrorWithCtx(_ context.Context, format interface{}, vars ...interface{}) {
	l.with(C.DUNLIN_ERROR, format, vars)
}
func (l *dunlinLogger) WarnWithCtx(_ context.Context, format interface{}, vars ...interface{}) {
	l.with(C.DUNLIN_WARN, format, vars)
}
func (l *dunlinLogger) InfoWithCtx(_ context.Context, format interface{}, vars ...interface{}) {
	l.with(C.DUNLIN_INFO, format, vars)
}
func (l *dunlinLogger) DebugWithCtx(_ context.Context, format interface{}, vars ...interface{}) {
	l.with(C.DUNLIN_DEBUG, format, vars)
}

func (l *dunlinLogger) Flush() {}

func (l *dunlinLogger) GetChild(name string) logger.Logger {
	if l.name != "" {
		name = l.name + "." + name
	}
	return &dunlinLogger{host: l.host, name: name}
}
