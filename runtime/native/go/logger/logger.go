// Package logger has the interface that Nuclio's Go functions log through. It stands in for the module of the same name when a function
// is built for a device; the methods are those of that module, the code is ours.
package logger

import "context"

// Logger writes lines of text with a format and its arguments, and lines with pairs of names and values (the With methods).
type Logger interface {
	Error(format interface{}, vars ...interface{})
	Warn(format interface{}, vars ...interface{})
	Info(format interface{}, vars ...interface{})
	Debug(format interface{}, vars ...interface{})

	ErrorCtx(ctx context.Context, format interface{}, vars ...interface{})
	WarnCtx(ctx context.Context, format interface{}, vars ...interface{})
	InfoCtx(ctx context.Context, format interface{}, vars ...interface{})
	DebugCtx(ctx context.Context, format interface{}, vars ...interface{})

	ErrorWith(format interface{}, vars ...interface{})
	WarnWith(format interface{}, vars ...interface{})
	InfoWith(format interface{}, vars ...interface{})
	DebugWith(format interface{}, vars ...interface{})

	ErrorWithCtx(ctx context.Context, format interface{}, vars ...interface{})
	WarnWithCtx(ctx context.Context, format interface{}, vars ...interface{})
	InfoWithCtx(ctx context.Context, format interface{}, vars ...interface{})
	DebugWithCtx(ctx context.Context, format interface{}, vars ...interface{})

	// Flush does nothing: every line is sent when it is written.
	Flush()

	// GetChild gives a logger whose lines carry a name.
	GetChild(name string) Logger
}
