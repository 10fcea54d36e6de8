package nuclio

import (
	"errors"
	"net/http"
)

// WithStatusCode is an error that tells the status of the answer.
type WithStatusCode interface {
	StatusCode() int
}

// ErrorWithStatusCode is an error with the status of the answer. Below 500 the event has been handled; from 500 on it has failed.
type ErrorWithStatusCode struct {
	error
	statusCode int
}

// NewErrorWithStatusCode is for a status that has no name below.
func NewErrorWithStatusCode(message string, statusCode int) error {
	return &ErrorWithStatusCode{errors.New(message), statusCode}
}

// GetError is the error that was wrapped, or nil.
func (e *ErrorWithStatusCode) GetError() error { return e.error }

// Unwrap lets errors.Is and errors.As see the error that was wrapped.
func (e *ErrorWithStatusCode) Unwrap() error { return e.error }

// StatusCode is the status of the answer.
func (e *ErrorWithStatusCode) StatusCode() int { return e.statusCode }

func (e ErrorWithStatusCode) Error() string {
	if e.error != nil {
		return e.error.Error()
	}
	return http.StatusText(e.statusCode)
}

// For each status of net/http: the error itself, one with a message, and one around another error.

var ErrAccepted = ErrorWithStatusCode{statusCode: http.StatusAccepted}

func NewErrAccepted(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusAccepted}
}
func WrapErrAccepted(err error) error { return &ErrorWithStatusCode{err, http.StatusAccepted} }

var ErrAlreadyReported = ErrorWithStatusCode{statusCode: http.StatusAlreadyReported}

func NewErrAlreadyReported(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusAlreadyReported}
}
func WrapErrAlreadyReported(err error) error {
	return &ErrorWithStatusCode{err, http.StatusAlreadyReported}
}

var ErrBadGateway = ErrorWithStatusCode{statusCode: http.StatusBadGateway}

func NewErrBadGateway(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusBadGateway}
}
func WrapErrBadGateway(err error) error { return &ErrorWithStatusCode{err, http.StatusBadGateway} }

var ErrBadRequest = ErrorWithStatusCode{statusCode: http.StatusBadRequest}

func NewErrBadRequest(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusBadRequest}
}
func WrapErrBadRequest(err error) error { return &ErrorWithStatusCode{err, http.StatusBadRequest} }

var ErrConflict = ErrorWithStatusCode{statusCode: http.StatusConflict}

func NewErrConflict(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusConflict}
}
func WrapErrConflict(err error) error { return &ErrorWithStatusCode{err, http.StatusConflict} }

var ErrContinue = ErrorWithStatusCode{statusCode: http.StatusContinue}

func NewErrContinue(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusContinue}
}
func WrapErrContinue(err error) error { return &ErrorWithStatusCode{err, http.StatusContinue} }

var ErrCreated = ErrorWithStatusCode{statusCode: http.StatusCreated}

func NewErrCreated(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusCreated}
}
func WrapErrCreated(err error) error { return &ErrorWithStatusCode{err, http.StatusCreated} }

var ErrEarlyHints = ErrorWithStatusCode{statusCode: http.StatusEarlyHints}

func NewErrEarlyHints(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusEarlyHints}
}
func WrapErrEarlyHints(err error) error { return &ErrorWithStatusCode{err, http.StatusEarlyHints} }

var ErrExpectationFailed = ErrorWithStatusCode{statusCode: http.StatusExpectationFailed}

func NewErrExpectationFailed(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusExpectationFailed}
}
func WrapErrExpectationFailed(err error) error {
	return &ErrorWithStatusCode{err, http.StatusExpectationFailed}
}

var ErrFailedDependency = ErrorWithStatusCode{statusCode: http.StatusFailedDependency}

func NewErrFailedDependency(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusFailedDependency}
}
func WrapErrFailedDependency(err error) error {
	return &ErrorWithStatusCode{err, http.StatusFailedDependency}
}

var ErrForbidden = ErrorWithStatusCode{statusCode: http.StatusForbidden}

func NewErrForbidden(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusForbidden}
}
func WrapErrForbidden(err error) error { return &ErrorWithStatusCode{err, http.StatusForbidden} }

var ErrFound = ErrorWithStatusCode{statusCode: http.StatusFound}

func NewErrFound(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusFound}
}
func WrapErrFound(err error) error { return &ErrorWithStatusCode{err, http.StatusFound} }

var ErrGatewayTimeout = ErrorWithStatusCode{statusCode: http.StatusGatewayTimeout}

func NewErrGatewayTimeout(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusGatewayTimeout}
}
func WrapErrGatewayTimeout(err error) error {
	return &ErrorWithStatusCode{err, http.StatusGatewayTimeout}
}

var ErrGone = ErrorWithStatusCode{statusCode: http.StatusGone}

func NewErrGone(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusGone}
}
func WrapErrGone(err error) error { return &ErrorWithStatusCode{err, http.StatusGone} }

var ErrHTTPVersionNotSupported = ErrorWithStatusCode{statusCode: http.StatusHTTPVersionNotSupported}

func NewErrHTTPVersionNotSupported(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusHTTPVersionNotSupported}
}
func WrapErrHTTPVersionNotSupported(err error) error {
	return &ErrorWithStatusCode{err, http.StatusHTTPVersionNotSupported}
}

var ErrIMUsed = ErrorWithStatusCode{statusCode: http.StatusIMUsed}

func NewErrIMUsed(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusIMUsed}
}
func WrapErrIMUsed(err error) error { return &ErrorWithStatusCode{err, http.StatusIMUsed} }

var ErrInsufficientStorage = ErrorWithStatusCode{statusCode: http.StatusInsufficientStorage}

func NewErrInsufficientStorage(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusInsufficientStorage}
}
func WrapErrInsufficientStorage(err error) error {
	return &ErrorWithStatusCode{err, http.StatusInsufficientStorage}
}

var ErrInternalServerError = ErrorWithStatusCode{statusCode: http.StatusInternalServerError}

func NewErrInternalServerError(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusInternalServerError}
}
func WrapErrInternalServerError(err error) error {
	return &ErrorWithStatusCode{err, http.StatusInternalServerError}
}

var ErrLengthRequired = ErrorWithStatusCode{statusCode: http.StatusLengthRequired}

func NewErrLengthRequired(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusLengthRequired}
}
func WrapErrLengthRequired(err error) error {
	return &ErrorWithStatusCode{err, http.StatusLengthRequired}
}

var ErrLocked = ErrorWithStatusCode{statusCode: http.StatusLocked}

func NewErrLocked(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusLocked}
}
func WrapErrLocked(err error) error { return &ErrorWithStatusCode{err, http.StatusLocked} }

var ErrLoopDetected = ErrorWithStatusCode{statusCode: http.StatusLoopDetected}

func NewErrLoopDetected(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusLoopDetected}
}
func WrapErrLoopDetected(err error) error { return &ErrorWithStatusCode{err, http.StatusLoopDetected} }

var ErrMethodNotAllowed = ErrorWithStatusCode{statusCode: http.StatusMethodNotAllowed}

func NewErrMethodNotAllowed(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusMethodNotAllowed}
}
func WrapErrMethodNotAllowed(err error) error {
	return &ErrorWithStatusCode{err, http.StatusMethodNotAllowed}
}

var ErrMisdirectedRequest = ErrorWithStatusCode{statusCode: http.StatusMisdirectedRequest}

func NewErrMisdirectedRequest(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusMisdirectedRequest}
}
func WrapErrMisdirectedRequest(err error) error {
	return &ErrorWithStatusCode{err, http.StatusMisdirectedRequest}
}

var ErrMovedPermanently = ErrorWithStatusCode{statusCode: http.StatusMovedPermanently}

func NewErrMovedPermanently(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusMovedPermanently}
}
func WrapErrMovedPermanently(err error) error {
	return &ErrorWithStatusCode{err, http.StatusMovedPermanently}
}

var ErrMultiStatus = ErrorWithStatusCode{statusCode: http.StatusMultiStatus}

func NewErrMultiStatus(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusMultiStatus}
}
func WrapErrMultiStatus(err error) error { return &ErrorWithStatusCode{err, http.StatusMultiStatus} }

var ErrMultipleChoices = ErrorWithStatusCode{statusCode: http.StatusMultipleChoices}

func NewErrMultipleChoices(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusMultipleChoices}
}
func WrapErrMultipleChoices(err error) error {
	return &ErrorWithStatusCode{err, http.StatusMultipleChoices}
}

var ErrNetworkAuthenticationRequired = ErrorWithStatusCode{statusCode: http.StatusNetworkAuthenticationRequired}

func NewErrNetworkAuthenticationRequired(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusNetworkAuthenticationRequired}
}
func WrapErrNetworkAuthenticationRequired(err error) error {
	return &ErrorWithStatusCode{err, http.StatusNetworkAuthenticationRequired}
}

var ErrNoContent = ErrorWithStatusCode{statusCode: http.StatusNoContent}

func NewErrNoContent(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusNoContent}
}
func WrapErrNoContent(err error) error { return &ErrorWithStatusCode{err, http.StatusNoContent} }

var ErrNonAuthoritativeInfo = ErrorWithStatusCode{statusCode: http.StatusNonAuthoritativeInfo}

func NewErrNonAuthoritativeInfo(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusNonAuthoritativeInfo}
}
func WrapErrNonAuthoritativeInfo(err error) error {
	return &ErrorWithStatusCode{err, http.StatusNonAuthoritativeInfo}
}

var ErrNotAcceptable = ErrorWithStatusCode{statusCode: http.StatusNotAcceptable}

func NewErrNotAcceptable(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusNotAcceptable}
}
func WrapErrNotAcceptable(err error) error {
	return &ErrorWithStatusCode{err, http.StatusNotAcceptable}
}

var ErrNotExtended = ErrorWithStatusCode{statusCode: http.StatusNotExtended}

func NewErrNotExtended(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusNotExtended}
}
func WrapErrNotExtended(err error) error { return &ErrorWithStatusCode{err, http.StatusNotExtended} }

var ErrNotFound = ErrorWithStatusCode{statusCode: http.StatusNotFound}

func NewErrNotFound(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusNotFound}
}
func WrapErrNotFound(err error) error { return &ErrorWithStatusCode{err, http.StatusNotFound} }

var ErrNotImplemented = ErrorWithStatusCode{statusCode: http.StatusNotImplemented}

func NewErrNotImplemented(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusNotImplemented}
}
func WrapErrNotImplemented(err error) error {
	return &ErrorWithStatusCode{err, http.StatusNotImplemented}
}

var ErrNotModified = ErrorWithStatusCode{statusCode: http.StatusNotModified}

func NewErrNotModified(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusNotModified}
}
func WrapErrNotModified(err error) error { return &ErrorWithStatusCode{err, http.StatusNotModified} }

var ErrOK = ErrorWithStatusCode{statusCode: http.StatusOK}

func NewErrOK(message string) error { return &ErrorWithStatusCode{errors.New(message), http.StatusOK} }
func WrapErrOK(err error) error     { return &ErrorWithStatusCode{err, http.StatusOK} }

var ErrPartialContent = ErrorWithStatusCode{statusCode: http.StatusPartialContent}

func NewErrPartialContent(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusPartialContent}
}
func WrapErrPartialContent(err error) error {
	return &ErrorWithStatusCode{err, http.StatusPartialContent}
}

var ErrPaymentRequired = ErrorWithStatusCode{statusCode: http.StatusPaymentRequired}

func NewErrPaymentRequired(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusPaymentRequired}
}
func WrapErrPaymentRequired(err error) error {
	return &ErrorWithStatusCode{err, http.StatusPaymentRequired}
}

var ErrPermanentRedirect = ErrorWithStatusCode{statusCode: http.StatusPermanentRedirect}

func NewErrPermanentRedirect(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusPermanentRedirect}
}
func WrapErrPermanentRedirect(err error) error {
	return &ErrorWithStatusCode{err, http.StatusPermanentRedirect}
}

var ErrPreconditionFailed = ErrorWithStatusCode{statusCode: http.StatusPreconditionFailed}

func NewErrPreconditionFailed(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusPreconditionFailed}
}
func WrapErrPreconditionFailed(err error) error {
	return &ErrorWithStatusCode{err, http.StatusPreconditionFailed}
}

var ErrPreconditionRequired = ErrorWithStatusCode{statusCode: http.StatusPreconditionRequired}

func NewErrPreconditionRequired(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusPreconditionRequired}
}
func WrapErrPreconditionRequired(err error) error {
	return &ErrorWithStatusCode{err, http.StatusPreconditionRequired}
}

var ErrProcessing = ErrorWithStatusCode{statusCode: http.StatusProcessing}

func NewErrProcessing(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusProcessing}
}
func WrapErrProcessing(err error) error { return &ErrorWithStatusCode{err, http.StatusProcessing} }

var ErrProxyAuthRequired = ErrorWithStatusCode{statusCode: http.StatusProxyAuthRequired}

func NewErrProxyAuthRequired(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusProxyAuthRequired}
}
func WrapErrProxyAuthRequired(err error) error {
	return &ErrorWithStatusCode{err, http.StatusProxyAuthRequired}
}

var ErrRequestEntityTooLarge = ErrorWithStatusCode{statusCode: http.StatusRequestEntityTooLarge}

func NewErrRequestEntityTooLarge(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusRequestEntityTooLarge}
}
func WrapErrRequestEntityTooLarge(err error) error {
	return &ErrorWithStatusCode{err, http.StatusRequestEntityTooLarge}
}

var ErrRequestHeaderFieldsTooLarge = ErrorWithStatusCode{statusCode: http.StatusRequestHeaderFieldsTooLarge}

func NewErrRequestHeaderFieldsTooLarge(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusRequestHeaderFieldsTooLarge}
}
func WrapErrRequestHeaderFieldsTooLarge(err error) error {
	return &ErrorWithStatusCode{err, http.StatusRequestHeaderFieldsTooLarge}
}

var ErrRequestTimeout = ErrorWithStatusCode{statusCode: http.StatusRequestTimeout}

func NewErrRequestTimeout(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusRequestTimeout}
}
func WrapErrRequestTimeout(err error) error {
	return &ErrorWithStatusCode{err, http.StatusRequestTimeout}
}

var ErrRequestURITooLong = ErrorWithStatusCode{statusCode: http.StatusRequestURITooLong}

func NewErrRequestURITooLong(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusRequestURITooLong}
}
func WrapErrRequestURITooLong(err error) error {
	return &ErrorWithStatusCode{err, http.StatusRequestURITooLong}
}

var ErrRequestedRangeNotSatisfiable = ErrorWithStatusCode{statusCode: http.StatusRequestedRangeNotSatisfiable}

func NewErrRequestedRangeNotSatisfiable(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusRequestedRangeNotSatisfiable}
}
func WrapErrRequestedRangeNotSatisfiable(err error) error {
	return &ErrorWithStatusCode{err, http.StatusRequestedRangeNotSatisfiable}
}

var ErrResetContent = ErrorWithStatusCode{statusCode: http.StatusResetContent}

func NewErrResetContent(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusResetContent}
}
func WrapErrResetContent(err error) error { return &ErrorWithStatusCode{err, http.StatusResetContent} }

var ErrSeeOther = ErrorWithStatusCode{statusCode: http.StatusSeeOther}

func NewErrSeeOther(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusSeeOther}
}
func WrapErrSeeOther(err error) error { return &ErrorWithStatusCode{err, http.StatusSeeOther} }

var ErrServiceUnavailable = ErrorWithStatusCode{statusCode: http.StatusServiceUnavailable}

func NewErrServiceUnavailable(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusServiceUnavailable}
}
func WrapErrServiceUnavailable(err error) error {
	return &ErrorWithStatusCode{err, http.StatusServiceUnavailable}
}

var ErrSwitchingProtocols = ErrorWithStatusCode{statusCode: http.StatusSwitchingProtocols}

func NewErrSwitchingProtocols(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusSwitchingProtocols}
}
func WrapErrSwitchingProtocols(err error) error {
	return &ErrorWithStatusCode{err, http.StatusSwitchingProtocols}
}

var ErrTeapot = ErrorWithStatusCode{statusCode: http.StatusTeapot}

func NewErrTeapot(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusTeapot}
}
func WrapErrTeapot(err error) error { return &ErrorWithStatusCode{err, http.StatusTeapot} }

var ErrTemporaryRedirect = ErrorWithStatusCode{statusCode: http.StatusTemporaryRedirect}

func NewErrTemporaryRedirect(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusTemporaryRedirect}
}
func WrapErrTemporaryRedirect(err error) error {
	return &ErrorWithStatusCode{err, http.StatusTemporaryRedirect}
}

var ErrTooEarly = ErrorWithStatusCode{statusCode: http.StatusTooEarly}

func NewErrTooEarly(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusTooEarly}
}
func WrapErrTooEarly(err error) error { return &ErrorWithStatusCode{err, http.StatusTooEarly} }

var ErrTooManyRequests = ErrorWithStatusCode{statusCode: http.StatusTooManyRequests}

func NewErrTooManyRequests(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusTooManyRequests}
}
func WrapErrTooManyRequests(err error) error {
	return &ErrorWithStatusCode{err, http.StatusTooManyRequests}
}

var ErrUnauthorized = ErrorWithStatusCode{statusCode: http.StatusUnauthorized}

func NewErrUnauthorized(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusUnauthorized}
}
func WrapErrUnauthorized(err error) error { return &ErrorWithStatusCode{err, http.StatusUnauthorized} }

var ErrUnavailableForLegalReasons = ErrorWithStatusCode{statusCode: http.StatusUnavailableForLegalReasons}

func NewErrUnavailableForLegalReasons(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusUnavailableForLegalReasons}
}
func WrapErrUnavailableForLegalReasons(err error) error {
	return &ErrorWithStatusCode{err, http.StatusUnavailableForLegalReasons}
}

var ErrUnprocessableEntity = ErrorWithStatusCode{statusCode: http.StatusUnprocessableEntity}

func NewErrUnprocessableEntity(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusUnprocessableEntity}
}
func WrapErrUnprocessableEntity(err error) error {
	return &ErrorWithStatusCode{err, http.StatusUnprocessableEntity}
}

var ErrUnsupportedMediaType = ErrorWithStatusCode{statusCode: http.StatusUnsupportedMediaType}

func NewErrUnsupportedMediaType(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusUnsupportedMediaType}
}
func WrapErrUnsupportedMediaType(err error) error {
	return &ErrorWithStatusCode{err, http.StatusUnsupportedMediaType}
}

var ErrUpgradeRequired = ErrorWithStatusCode{statusCode: http.StatusUpgradeRequired}

func NewErrUpgradeRequired(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusUpgradeRequired}
}
func WrapErrUpgradeRequired(err error) error {
	return &ErrorWithStatusCode{err, http.StatusUpgradeRequired}
}

var ErrUseProxy = ErrorWithStatusCode{statusCode: http.StatusUseProxy}

func NewErrUseProxy(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusUseProxy}
}
func WrapErrUseProxy(err error) error { return &ErrorWithStatusCode{err, http.StatusUseProxy} }

var ErrVariantAlsoNegotiates = ErrorWithStatusCode{statusCode: http.StatusVariantAlsoNegotiates}

func NewErrVariantAlsoNegotiates(message string) error {
	return &ErrorWithStatusCode{errors.New(message), http.StatusVariantAlsoNegotiates}
}
func WrapErrVariantAlsoNegotiates(err error) error {
	return &ErrorWithStatusCode{err, http.StatusVariantAlsoNegotiates}
}
