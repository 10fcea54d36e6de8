package nuclio

import (
	"errors"
	"strconv"
	"time"
)

// ErrUnsupported is returned where an event has no such thing.
var ErrUnsupported = errors.New("Event does not support this interface")

// ErrTypeConversion is returned where a header or field is no number.
var ErrTypeConversion = errors.New("Cannot convert to this type")

// ID names an event; it is the same over all attempts.
type ID string

func (id ID) String() string { return string(id) }

// TriggerInfoProvider tells where an event came from.
type TriggerInfoProvider interface {
	GetClass() string
	GetKind() string
	GetName() string
}

// Event is what a handler gets. Bodies, headers and fields are copies: a handler may keep them.
type Event interface {
	GetID() ID
	SetID(ID)
	SetTriggerInfoProvider(TriggerInfoProvider)
	GetTriggerInfo() TriggerInfoProvider
	GetContentType() string
	GetBody() []byte
	GetBodyObject() interface{}
	GetHeader(string) interface{}
	GetHeaderByteSlice(string) []byte
	GetHeaderString(string) string
	GetHeaderInt(string) (int, error)
	GetHeaders() map[string]interface{}
	GetField(string) interface{}
	GetFieldByteSlice(string) []byte
	GetFieldString(string) string
	GetFieldInt(string) (int, error)
	GetFields() map[string]interface{}
	GetTimestamp() time.Time
	GetPath() string
	GetPathOriginal() string
	GetURL() string
	GetMethod() string
	GetShardID() int
	GetTotalNumShards() int
	GetType() string
	GetTypeVersion() string
	GetVersion() string
	GetLastInBatch() bool
	GetOffset() int
	GetTopic() string
}

// AbstractEvent answers everything with nothing; other events are built on it.
type AbstractEvent struct {
	trigger TriggerInfoProvider
	id      ID
}

func (e *AbstractEvent) GetID() ID                                       { return e.id }
func (e *AbstractEvent) SetID(id ID)                                     { e.id = id }
func (e *AbstractEvent) GetTriggerInfo() TriggerInfoProvider             { return e.trigger }
func (e *AbstractEvent) SetTriggerInfoProvider(info TriggerInfoProvider) { e.trigger = info }
func (e *AbstractEvent) GetContentType() string                          { return "" }
func (e *AbstractEvent) GetBody() []byte                                 { return nil }
func (e *AbstractEvent) GetBodyObject() interface{}                      { return e.GetBody() }
func (e *AbstractEvent) GetHeader(key string) interface{}                { return nil }
func (e *AbstractEvent) GetHeaderByteSlice(key string) []byte            { return nil }
func (e *AbstractEvent) GetHeaderString(key string) string               { return "" }
func (e *AbstractEvent) GetHeaderInt(key string) (int, error)            { return IntOf(e.GetHeader(key)) }
func (e *AbstractEvent) GetHeaders() map[string]interface{}              { return nil }
func (e *AbstractEvent) GetField(key string) interface{}                 { return nil }
func (e *AbstractEvent) GetFieldByteSlice(key string) []byte             { return nil }
func (e *AbstractEvent) GetFieldString(key string) string                { return "" }
func (e *AbstractEvent) GetFieldInt(key string) (int, error)             { return 0, ErrUnsupported }
func (e *AbstractEvent) GetFields() map[string]interface{}               { return nil }
func (e *AbstractEvent) GetTimestamp() time.Time                         { return time.Time{} }
func (e *AbstractEvent) GetPath() string                                 { return "" }
func (e *AbstractEvent) GetPathOriginal() string                         { return "" }
func (e *AbstractEvent) GetURL() string                                  { return "" }
func (e *AbstractEvent) GetMethod() string                               { return "" }
func (e *AbstractEvent) GetShardID() int                                 { return -1 }
func (e *AbstractEvent) GetTotalNumShards() int                          { return 0 }
func (e *AbstractEvent) GetType() string                                 { return "" }
func (e *AbstractEvent) GetTypeVersion() string                          { return "" }
func (e *AbstractEvent) GetVersion() string                              { return "" }
func (e *AbstractEvent) GetLastInBatch() bool                            { return false }
func (e *AbstractEvent) GetOffset() int                                  { return 0 }
func (e *AbstractEvent) GetTopic() string                                { return "" }

// IntOf reads a header or field as a number.
func IntOf(value interface{}) (int, error) {
	switch typed := value.(type) {
	case int:
		return typed, nil
	case string:
		return strconv.Atoi(typed)
	case []byte:
		return strconv.Atoi(string(typed))
	default:
		return 0, ErrTypeConversion
	}
}

// MemoryEvent is an event that a function makes, to call another with it.
type MemoryEvent struct {
	AbstractEvent
	Method      string
	ContentType string
	Body        []byte
	Headers     map[string]interface{}
	Path        string
}

// GetMethod is GET without a body and POST with one, where none is named.
func (e *MemoryEvent) GetMethod() string {
	if e.Method != "" {
		return e.Method
	}
	if len(e.Body) == 0 {
		return "GET"
	}
	return "POST"
}

// GetContentType is text/plain where none is named.
func (e *MemoryEvent) GetContentType() string {
	if e.ContentType == "" {
		return "text/plain"
	}
	return e.ContentType
}

func (e *MemoryEvent) GetBody() []byte                    { return e.Body }
func (e *MemoryEvent) GetBodyObject() interface{}         { return e.Body }
func (e *MemoryEvent) GetPath() string                    { return e.Path }
func (e *MemoryEvent) GetHeaders() map[string]interface{} { return e.Headers }

// GetHeader is the empty string where there is none.
func (e *MemoryEvent) GetHeader(key string) interface{} {
	if value, ok := e.Headers[key]; ok {
		return value
	}
	return ""
}

func (e *MemoryEvent) GetHeaderString(key string) string {
	switch value := e.GetHeader(key).(type) {
	case string:
		return value
	case []byte:
		return string(value)
	default:
		return ""
	}
}

func (e *MemoryEvent) GetHeaderByteSlice(key string) []byte { return []byte(e.GetHeaderString(key)) }
func (e *MemoryEvent) GetHeaderInt(key string) (int, error) { return IntOf(e.GetHeader(key)) }
