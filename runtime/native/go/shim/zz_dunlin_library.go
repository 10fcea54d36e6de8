// Stands beside the files of a Nuclio handler when it is built: the library's exports (dunlin.h), and what runs between them and Handler.
package main

/*
#cgo CFLAGS: -I${SRCDIR}
#include "dunlin.h"
*/
import "C"

import (
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/nuclio/nuclio-sdk-go"
)

// dunlinHost serves the calls of a handler, whatever goroutine they come from, on the thread that the host of the library has called:
// only there, and only while it waits here, may the functions of dunlin.h be used.
type dunlinHost struct {
	calls   chan func()
	context *nuclio.Context
	native  *C.dunlin_context
	event   *C.dunlin_event
}

var dunlinWorker *dunlinHost
var dunlinInit sync.Once

// serve runs work in a goroutine of its own and its calls here, until it is done.
func (h *dunlinHost) serve(native *C.dunlin_context, event *C.dunlin_event, work func()) {
	h.native, h.event = native, event
	done := make(chan struct{})
	go func() {
		defer close(done)
		work()
	}()
	for {
		select {
		case call := <-h.calls:
			call()
		case <-done:
			h.event = nil
			return
		}
	}
}

// do runs call on the library's thread. A goroutine that outlives its event waits here for the next one.
func (h *dunlinHost) do(call func()) {
	done := make(chan struct{})
	h.calls <- func() {
		defer close(done)
		call()
	}
	<-done
}

//export dunlin_abi
func dunlin_abi() C.uint32_t { return C.DUNLIN_ABI }

//export dunlin_init_context
func dunlin_init_context(native *C.dunlin_context) C.int32_t {
	failed := error(nil)
	dunlinInit.Do(func() {
		dunlinWorker = &dunlinHost{calls: make(chan func())}
		dunlinWorker.native = native
		dunlinWorker.context = dunlinNewContext(dunlinWorker, native)
		if dunlinUserInit == nil {
			return
		}
		dunlinWorker.serve(native, nil, func() {
			defer func() {
				if caught := recover(); caught != nil {
					failed = fmt.Errorf("InitContext panicked: %v\n%s", caught, debug.Stack())
				}
			}()
			failed = dunlinUserInit(dunlinWorker.context)
		})
	})
	if failed == nil {
		return 0
	}
	return dunlinFail(native, nil, 500, failed.Error(), "")
}

//export dunlin_handle
func dunlin_handle(native *C.dunlin_context, event *C.dunlin_event) C.int32_t {
	h := dunlinWorker
	var answer interface{}
	var failed error
	stack := ""
	trigger := C.dunlin_trigger_of(native, event)
	h.context.TriggerName, h.context.TriggerKind = C.GoString(trigger.name), C.GoString(trigger.kind)
	h.serve(native, event, func() {
		defer func() {
			if caught := recover(); caught != nil {
				failed, stack = fmt.Errorf("Caught panic: %v", caught), string(debug.Stack())
			}
		}()
		answer, failed = dunlinUserHandler(h.context, &dunlinEvent{record: event, trigger: dunlinTrigger{trigger}})
		if stream, ok := answer.(*nuclio.ResponseStream); ok && failed == nil {
			answer, failed = nil, h.stream(stream)
		}
	})
	if failed != nil {
		return dunlinFail(native, event, dunlinStatusOf(failed), failed.Error(), stack)
	}
	if err := dunlinRespond(native, event, answer); err != nil {
		return dunlinFail(native, event, 500, err.Error(), "")
	}
	return 0
}

func dunlinStatusOf(failed error) int {
	for err := failed; err != nil; {
		switch typed := err.(type) {
		case nuclio.WithStatusCode:
			return typed.StatusCode()
		case nuclio.ErrorWithStatusCode:
			return typed.StatusCode()
		}
		wrapped, ok := err.(interface{ Unwrap() error })
		if !ok {
			break
		}
		err = wrapped.Unwrap()
	}
	return 500
}
