package main

/*
#cgo CFLAGS: -I${SRCDIR}
#include "dunlin.h"
*/
import "C"

import (
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/nuclio/nuclio-sdk-go"
)

type dunlinTrigger struct{ trigger *C.dunlin_trigger }

func (t dunlinTrigger) GetClass() string { return C.GoString(t.trigger.event_class) }
func (t dunlinTrigger) GetKind() string  { return C.GoString(t.trigger.kind) }
func (t dunlinTrigger) GetName() string  { return C.GoString(t.trigger.name) }

// dunlinEvent reads the record of an event when it is asked. What it gives out is copied: the record is gone when the handler returns.
type dunlinEvent struct {
	nuclio.AbstractEvent
	record  *C.dunlin_event
	trigger nuclio.TriggerInfoProvider
	id      nuclio.ID
	body    []byte
	isRead  bool
}

func dunlinText(span C.dunlin_span) string {
	return C.GoStringN(span.data, C.int(span.length))
}

func (e *dunlinEvent) item(tag C.uint8_t) string { return dunlinText(C.dunlin_item(e.record, tag)) }

func (e *dunlinEvent) number(tag C.uint8_t, none int) int {
	if number, err := strconv.Atoi(e.item(tag)); err == nil {
		return number
	}
	return none
}

func (e *dunlinEvent) items(tag C.uint8_t) map[string]interface{} {
	found := map[string]interface{}{}
	var at C.size_t
	var itemTag C.uint8_t
	var key, value C.dunlin_span
	for C.dunlin_next_item(e.record, &at, &itemTag, &key, &value) != 0 {
		if itemTag == tag {
			found[dunlinText(key)] = dunlinText(value)
		}
	}
	return found
}

// keyed walks the items itself: a Go string must not be pointed to from C memory.
func (e *dunlinEvent) keyed(tag C.uint8_t, wanted string, anyCase bool) []byte {
	var at C.size_t
	var itemTag C.uint8_t
	var key, value C.dunlin_span
	for C.dunlin_next_item(e.record, &at, &itemTag, &key, &value) != 0 {
		if itemTag != tag {
			continue
		}
		if name := dunlinText(key); name == wanted || anyCase && strings.EqualFold(name, wanted) {
			return C.GoBytes(unsafe.Pointer(value.data), C.int(value.length))
		}
	}
	return nil
}

func (e *dunlinEvent) GetID() nuclio.ID {
	if e.id == "" {
		var text [37]C.char
		C.dunlin_id_text(e.record, &text[0])
		e.id = nuclio.ID(C.GoString(&text[0]))
	}
	return e.id
}

func (e *dunlinEvent) GetBody() []byte {
	if !e.isRead {
		span := C.dunlin_body(e.record)
		e.body, e.isRead = C.GoBytes(unsafe.Pointer(span.data), C.int(span.length)), true
	}
	return e.body
}

func (e *dunlinEvent) SetID(id nuclio.ID)                                        { e.id = id }
func (e *dunlinEvent) GetTriggerInfo() nuclio.TriggerInfoProvider                { return e.trigger }
func (e *dunlinEvent) SetTriggerInfoProvider(trigger nuclio.TriggerInfoProvider) { e.trigger = trigger }
func (e *dunlinEvent) GetBodyObject() interface{}                                { return e.GetBody() }
func (e *dunlinEvent) GetContentType() string                                    { return e.item(C.DUNLIN_TAG_CONTENT_TYPE) }
func (e *dunlinEvent) GetHeaderByteSlice(key string) []byte {
	return e.keyed(C.DUNLIN_TAG_HEADER, key, true)
}
func (e *dunlinEvent) GetHeader(key string) interface{}  { return e.GetHeaderByteSlice(key) }
func (e *dunlinEvent) GetHeaderString(key string) string { return string(e.GetHeaderByteSlice(key)) }
func (e *dunlinEvent) GetHeaderInt(key string) (int, error) {
	return strconv.Atoi(e.GetHeaderString(key))
}
func (e *dunlinEvent) GetHeaders() map[string]interface{} { return e.items(C.DUNLIN_TAG_HEADER) }
func (e *dunlinEvent) GetFieldByteSlice(key string) []byte {
	return e.keyed(C.DUNLIN_TAG_FIELD, key, false)
}
func (e *dunlinEvent) GetField(key string) interface{}  { return e.GetFieldByteSlice(key) }
func (e *dunlinEvent) GetFieldString(key string) string { return string(e.GetFieldByteSlice(key)) }
func (e *dunlinEvent) GetFieldInt(key string) (int, error) {
	return strconv.Atoi(e.GetFieldString(key))
}
func (e *dunlinEvent) GetFields() map[string]interface{} { return e.items(C.DUNLIN_TAG_FIELD) }
func (e *dunlinEvent) GetTimestamp() time.Time           { return time.UnixMicro(int64(e.record.time_us)) }
func (e *dunlinEvent) GetPath() string                   { return e.item(C.DUNLIN_TAG_PATH) }
func (e *dunlinEvent) GetPathOriginal() string           { return e.GetPath() }
func (e *dunlinEvent) GetURL() string                    { return e.item(C.DUNLIN_TAG_URL) }
func (e *dunlinEvent) GetMethod() string                 { return e.item(C.DUNLIN_TAG_METHOD) }
func (e *dunlinEvent) GetShardID() int                   { return e.number(C.DUNLIN_TAG_SHARD_ID, -1) }
func (e *dunlinEvent) GetTotalNumShards() int            { return e.number(C.DUNLIN_TAG_NUM_SHARDS, 0) }
func (e *dunlinEvent) GetType() string                   { return e.item(C.DUNLIN_TAG_TYPE) }
func (e *dunlinEvent) GetTypeVersion() string            { return e.item(C.DUNLIN_TAG_TYPE_VERSION) }
func (e *dunlinEvent) GetVersion() string                { return "" }
func (e *dunlinEvent) GetLastInBatch() bool              { return false }
func (e *dunlinEvent) GetOffset() int                    { return e.number(C.DUNLIN_TAG_OFFSET, 0) }
func (e *dunlinEvent) GetTopic() string                  { return e.item(C.DUNLIN_TAG_TOPIC) }
