package nuclio

import (
	"io"
	"sync"
)

// ProcessingResult is an answer with all its parts.
type ProcessingResult interface {
	IsStream() bool
	GetHeaders() map[string]interface{}
	GetContentType() string
	GetStatusCode() int
	GetBody() interface{}
}

// Response is an answer whose body is there.
type Response struct {
	StatusCode  int
	ContentType string
	Headers     map[string]interface{}
	Body        []byte
}

func (r *Response) IsStream() bool                     { return false }
func (r *Response) GetHeaders() map[string]interface{} { return r.Headers }
func (r *Response) GetContentType() string             { return r.ContentType }
func (r *Response) GetStatusCode() int                 { return r.StatusCode }
func (r *Response) GetBody() interface{}               { return r.Body }

// ResponseStream is an answer that is written while it is read.
type ResponseStream struct {
	contentType string
	headers     map[string]interface{}
	statusCode  int
	body        io.ReadCloser

	lock   sync.Mutex
	writer io.Writer
}

// NewResponseStream has a pipe between who writes and who reads.
func NewResponseStream(contentType string, headers map[string]interface{}, statusCode int) *ResponseStream {
	reader, writer := io.Pipe()
	return NewCustomResponseStream(contentType, headers, statusCode, reader, writer)
}

// NewCustomResponseStream has a reader and a writer of the function's own.
func NewCustomResponseStream(contentType string, headers map[string]interface{}, statusCode int, reader io.ReadCloser, writer io.Writer) *ResponseStream {
	return &ResponseStream{contentType: contentType, headers: headers, statusCode: statusCode, body: reader, writer: writer}
}

func (s *ResponseStream) IsStream() bool                     { return true }
func (s *ResponseStream) GetHeaders() map[string]interface{} { return s.headers }
func (s *ResponseStream) GetContentType() string             { return s.contentType }
func (s *ResponseStream) GetStatusCode() int                 { return s.statusCode }
func (s *ResponseStream) GetBody() interface{}               { return s.body }

// GetWriter is nil when the stream has ended.
func (s *ResponseStream) GetWriter() io.Writer {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.writer
}

// StreamFrom copies what a reader has.
func (s *ResponseStream) StreamFrom(reader io.Reader) (int64, error) {
	writer := s.GetWriter()
	if writer == nil {
		return 0, io.ErrClosedPipe
	}
	return io.Copy(writer, reader)
}

// SendChunk writes one part.
func (s *ResponseStream) SendChunk(chunk []byte) (int, error) {
	writer := s.GetWriter()
	if writer == nil {
		return 0, io.ErrClosedPipe
	}
	return writer.Write(chunk)
}

// StopStreaming ends the answer.
func (s *ResponseStream) StopStreaming() { s.CloseWriter() }

// CloseWriter ends the answer.
func (s *ResponseStream) CloseWriter() {
	s.lock.Lock()
	defer s.lock.Unlock()
	if closer, ok := s.writer.(io.Closer); ok {
		_ = closer.Close()
	}
	s.writer = nil
}
