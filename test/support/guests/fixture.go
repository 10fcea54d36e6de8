// The fixture function in Go, over dunlin.h: README.md beside this file says what it does.
package main

/*
#include <dunlin.h>
*/
import "C"

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

var fields = `{"celsius":90,"where":"här"}`
var levels = map[string]C.int32_t{"debug": C.DUNLIN_DEBUG, "info": C.DUNLIN_INFO, "warn": C.DUNLIN_WARN, "error": C.DUNLIN_ERROR}

//export dunlin_abi
func dunlin_abi() C.uint32_t { return C.DUNLIN_ABI }

//export dunlin_init_context
func dunlin_init_context(context *C.dunlin_context) C.int32_t {
	name := C.GoString(context.function_name)
	if name == "init-fails" {
		return C.dunlin_fail_at(context, nil, span("init has failed"), span("at fixture.go"))
	}
	if _, err := os.Stat("died"); name == "init-dies" && err != nil {
		_ = os.WriteFile("died", nil, 0o600)
		die()
	}
	return 0
}

//export dunlin_drain
func dunlin_drain(context *C.dunlin_context) {
	fmt.Println("drained")
	if C.GoString(context.function_name) == "drain-dies" {
		die()
	}
}

//export dunlin_terminate
func dunlin_terminate(context *C.dunlin_context) { fmt.Println("terminated") }

//export dunlin_handle
func dunlin_handle(context *C.dunlin_context, event *C.dunlin_event) C.int32_t {
	body := C.dunlin_body(event)
	switch text(C.dunlin_path(event)) {
	case "/echo":
		return C.dunlin_respond(context, event, 200, unsafe.Pointer(body.data), body.length)
	case "/describe":
		return respond(context, event, 200, describe(context, event), nil)
	}
	job := &job{context: context, event: event, status: 200, kind: "text/plain"}
	for _, line := range strings.Split(text(body), "\n") {
		if failed := job.step(line); failed != 0 {
			return failed
		}
	}
	items := append([]item{{C.DUNLIN_TAG_CONTENT_TYPE, "", job.kind}}, job.headers...)
	return respond(context, event, job.status, strings.Join(job.answer, "\n"), items)
}

type item struct {
	tag        C.uint8_t
	key, value string
}

type job struct {
	context *C.dunlin_context
	event   *C.dunlin_event
	status  int
	kind    string
	answer  []string
	headers []item
}

func (j *job) step(line string) C.int32_t {
	step, rest := cut(line)
	name, value := cut(rest)
	switch step {
	case "emit":
		return j.send(C.DUNLIN_KIND_EMIT, value, item{C.DUNLIN_TAG_STREAM, "", name}, item{C.DUNLIN_TAG_CONTENT_TYPE, "", "text/plain"},
			item{C.DUNLIN_TAG_HEADER, "unit", "°C"})
	case "emits":
		count, _ := strconv.Atoi(value)
		for i := 0; i < count; i++ {
			j.send(C.DUNLIN_KIND_EMIT, strconv.Itoa(i), item{C.DUNLIN_TAG_STREAM, "", name})
		}
	case "publish":
		data, length := at(value)
		return C.dunlin_publish(j.context, j.event, span(name), data, length, 1, 1)
	case "set":
		return C.dunlin_state_set_json(j.context, j.event, span(name), span(strconv.Quote(value)))
	case "delete":
		return C.dunlin_state_delete(j.context, j.event, span(name))
	case "get", "size":
		var found C.dunlin_span
		var form C.int
		if C.dunlin_state_get(j.context, j.event, span(name), &found, &form) != 0 {
			j.answer = append(j.answer, "-")
		} else if step == "size" {
			j.answer = append(j.answer, strconv.Itoa(int(found.length)))
		} else if unquoted, err := strconv.Unquote(text(found)); form == C.DUNLIN_FORM_JSON && err == nil {
			j.answer = append(j.answer, unquoted)
		} else {
			j.answer = append(j.answer, text(found))
		}
	case "fill":
		length, _ := strconv.Atoi(value)
		data, size := at(string(bytes.Repeat([]byte{7}, length)))
		return C.dunlin_state_set(j.context, j.event, span(name), data, size)
	case "log":
		C.dunlin_log_with(j.context, levels[name], span(value), span(fields))
	case "print":
		fmt.Println(rest)
	case "call":
		var called *C.dunlin_record
		data, length := at(value)
		if failed := C.dunlin_call_function(j.context, span(name), data, length, nil, &called); failed != 0 {
			return failed
		}
		j.answer = append(j.answer, fmt.Sprintf("%d %s", int(called.status), text(C.dunlin_body(called))))
	case "raise":
		return C.dunlin_fail_at(j.context, j.event, span(rest), span("at fixture.go"))
	case "status":
		j.status, _ = strconv.Atoi(rest)
	case "header":
		j.headers = append(j.headers, item{C.DUNLIN_TAG_HEADER, name, value})
	case "type":
		j.kind = rest
	case "pid":
		j.answer = append(j.answer, strconv.Itoa(os.Getpid()))
	case "attempt":
		return j.send(C.DUNLIN_KIND_EMIT, strconv.Itoa(int(j.event.attempt)), item{C.DUNLIN_TAG_STREAM, "", name})
	case "die":
		if j.event.attempt == 1 || rest == "always" {
			die()
		}
	case "spin":
		for {
		}
	case "wait":
		for {
			if _, err := os.Stat(rest); err == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	return 0
}

func (j *job) send(kind C.uint8_t, body string, items ...item) C.int32_t {
	return write(j.context, kind, j.event, 0, body, items)
}

func respond(context *C.dunlin_context, event *C.dunlin_event, status int, body string, items []item) C.int32_t {
	return write(context, C.DUNLIN_KIND_RESULT, event, status, body, items)
}

func write(context *C.dunlin_context, kind C.uint8_t, event *C.dunlin_event, status int, body string, items []item) C.int32_t {
	failed := C.dunlin_open(context, kind, event.ticket, C.uint16_t(status), 0)
	for _, each := range items {
		if failed == 0 {
			failed = C.dunlin_add(context, each.tag, span(each.key), span(each.value))
		}
	}
	if failed != 0 {
		return failed
	}
	data, length := at(body)
	return C.dunlin_close(context, data, length, 0)
}

func describe(context *C.dunlin_context, event *C.dunlin_event) string {
	var id [37]C.char
	C.dunlin_id_text(event, &id[0])
	trigger := C.dunlin_trigger_of(context, event)
	lines := []string{"id=" + C.GoString(&id[0])}
	for _, each := range []struct {
		name  string
		value C.dunlin_span
	}{
		{"content_type", C.dunlin_content_type(event)}, {"method", C.dunlin_method(event)}, {"path", C.dunlin_path(event)}, {"url", C.dunlin_url(event)},
		{"topic", C.dunlin_topic(event)}, {"type", C.dunlin_type(event)}, {"type_version", C.dunlin_type_version(event)}, {"order_key", C.dunlin_order_key(event)},
		{"shard_id", C.dunlin_item(event, C.DUNLIN_TAG_SHARD_ID)}, {"num_shards", C.dunlin_item(event, C.DUNLIN_TAG_NUM_SHARDS)},
		{"offset", C.dunlin_item(event, C.DUNLIN_TAG_OFFSET)},
	} {
		lines = append(lines, each.name+"="+text(each.value))
	}
	quality := []string{"unset", "floor", "synced"}[C.dunlin_clock_quality(event)]
	lines = append(lines,
		fmt.Sprintf("qos=%d\nattempt=%d\nsize=%d\nboot_id=%d", C.dunlin_qos(event), event.attempt, event.body_length, event.boot),
		fmt.Sprintf("monotonic_ns=%d\nclock_quality=%s", event.monotonic_ns, quality),
		fmt.Sprintf("retain=%d\nreplayed=%d", C.dunlin_is_retained(event), C.dunlin_is_replayed(event)),
		fmt.Sprintf("time_ms=%d\ntrigger=%s/%s", event.time_us/1000, C.GoString(trigger.kind), C.GoString(trigger.name)))
	var place C.size_t
	var tag C.uint8_t
	var key, value C.dunlin_span
	for C.dunlin_next_item(event, &place, &tag, &key, &value) != 0 {
		if tag == C.DUNLIN_TAG_HEADER {
			lines = append(lines, "header "+text(key)+"="+text(value))
		} else if tag == C.DUNLIN_TAG_FIELD {
			lines = append(lines, "field "+text(key)+"="+text(value))
		}
	}
	return strings.Join(lines, "\n")
}

func cut(line string) (string, string) {
	if place := strings.IndexByte(line, ' '); place >= 0 {
		return line[:place], line[place+1:]
	}
	return line, ""
}

// at gives C what it reads during one call.
func at(value string) (unsafe.Pointer, C.size_t) {
	if value == "" {
		return nil, 0
	}
	return unsafe.Pointer(&[]byte(value)[0]), C.size_t(len(value))
}

func span(value string) C.dunlin_span {
	data, length := at(value)
	return C.dunlin_span{data: (*C.char)(data), length: length}
}

func text(span C.dunlin_span) string { return C.GoStringN(span.data, C.int(span.length)) }

func die() { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL) }

func main() {}
