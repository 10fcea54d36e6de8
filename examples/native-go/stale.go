// Counts the readings of each topic and tells those that repeat themselves: a sensor that always says the same is often stuck.
package main

/*
#cgo CFLAGS: -I${SRCDIR}/../../runtime/native
#include <dunlin.h>

static const char STREAM[] = "stuck";

static int32_t emit_stuck(dunlin_context *context, const dunlin_event *event, const void *body, size_t length) {
  return dunlin_emit(context, event, dunlin_text(STREAM), body, length);
}

static int32_t fail(dunlin_context *context, const dunlin_event *event) {
  return DUNLIN_FAIL(context, event, DUNLIN_TEXT("the reading is empty"));
}
*/
import "C"

import (
	"encoding/json"
	"fmt"
	"unsafe"
)

// So many equal readings in a row are suspicious.
const sameMax = 5

// What is kept for each topic.
type last struct {
	Reading string `json:"reading"`
	Same    int    `json:"same"`
}

//export dunlin_abi
func dunlin_abi() C.uint32_t { return C.DUNLIN_ABI }

//export dunlin_handle
func dunlin_handle(context *C.dunlin_context, event *C.dunlin_event) C.int32_t {
	topic := C.dunlin_topic(event)
	reading := text(C.dunlin_body(event))
	if reading == "" {
		return C.fail(context, event)
	}
	var before last
	var value C.dunlin_span
	if C.dunlin_state_get(context, event, topic, &value, nil) == 0 {
		// A value of another version is as good as none.
		_ = json.Unmarshal([]byte(text(value)), &before)
	}
	now := last{Reading: reading, Same: 1}
	if before.Reading == reading {
		now.Same = before.Same + 1
	}
	if now.Same == sameMax {
		body := []byte(fmt.Sprintf("%s says %s for the %dth time", text(topic), reading, sameMax))
		C.emit_stuck(context, event, unsafe.Pointer(&body[0]), C.size_t(len(body)))
	}
	encoded, _ := json.Marshal(now)
	if failed := set(context, event, topic, encoded); failed != 0 {
		return failed
	}
	count := []byte(fmt.Sprint(now.Same))
	return C.dunlin_respond(context, event, 200, unsafe.Pointer(&count[0]), C.size_t(len(count)))
}

func set(context *C.dunlin_context, event *C.dunlin_event, key C.dunlin_span, value []byte) C.int32_t {
	return C.dunlin_state_put(context, event, key, C.DUNLIN_FORM_JSON, unsafe.Pointer(&value[0]), C.size_t(len(value)))
}

func text(span C.dunlin_span) string { return C.GoStringN(span.data, C.int(span.length)) }

func main() {}
