// Package nuclio is what Nuclio's Go functions are written against. It stands in for the module of the same name when a function is built
// for a device: the same names and signatures, and the device behind them. The code is ours.
package nuclio

import "github.com/nuclio/logger"

// DataBinding is there so that functions compile that name it.
type DataBinding interface{}

// Context is the same for all events of a worker, and no other worker has it.
type Context struct {
	Logger          logger.Logger
	DataBinding     map[string]DataBinding
	WorkerID        int
	UserData        interface{}
	FunctionName    string
	FunctionVersion int
	TriggerName     string
	TriggerKind     string
	Platform        *Platform

	host Host
}

// Host is the worker that the function runs in. Its methods may be called from every goroutine while an event is handled.
type Host interface {
	Logger() logger.Logger
	CallFunction(name string, event Event) (*Response, error)
	Emit(stream string, body []byte, contentType string) error
	Publish(topic string, body []byte, qos int, retain bool) error
	StateGet(key string) ([]byte, bool, error)
	StateSet(key string, value []byte) error
	StateDelete(key string) error
}

// NewContext is called once per worker, before InitContext.
func NewContext(host Host) *Context {
	log := host.Logger()
	return &Context{Logger: log, DataBinding: map[string]DataBinding{}, Platform: &Platform{host: host}, host: host}
}

// Emit appends to a stream, which goes to the hub when the event has succeeded. Not in Nuclio.
func (context *Context) Emit(stream string, body []byte) error {
	return context.host.Emit(stream, body, "")
}

// Publish sends to MQTT clients and functions of the device when the event has succeeded. Not in Nuclio.
func (context *Context) Publish(topic string, body []byte, qos int, retain bool) error {
	return context.host.Publish(topic, body, qos, retain)
}

// StateGet reads a value of the function; false when there is none. Not in Nuclio.
func (context *Context) StateGet(key string) ([]byte, bool, error) {
	return context.host.StateGet(key)
}

// StateSet keeps a value, committed with the event. Not in Nuclio.
func (context *Context) StateSet(key string, value []byte) error {
	return context.host.StateSet(key, value)
}

// StateDelete removes a value, committed with the event. Not in Nuclio.
func (context *Context) StateDelete(key string) error {
	return context.host.StateDelete(key)
}

// Platform is what a function reaches beside its event.
type Platform struct {
	host Host
}

// CallFunction calls another function of this device, without a network.
func (platform *Platform) CallFunction(functionName string, event Event) (*Response, error) {
	return platform.host.CallFunction(functionName, event)
}
