import { defineError } from '../../platform/errors.ts';

export const NOT_FOUND = defineError('ERR_NOT_FOUND', {
  status: 404,
  message: 'nothing is served under this path',
  remedy: 'Use the URLs that the pool hands out; see docs/http.md.',
});
export const METHOD_NOT_ALLOWED = defineError('ERR_METHOD_NOT_ALLOWED', {
  status: 405,
  message: 'this path is not served with this method',
  remedy: 'Use the method that docs/http.md names for the path.',
});
export const UNAUTHENTICATED = defineError('ERR_UNAUTHENTICATED', {
  status: 401,
  message: 'the request is not authenticated',
  remedy: 'Send the credentials this listener asks for; the metric rtvoice_auth_failures_total says what was wrong.',
});
export const WRONG_TOPIC = defineError('ERR_WRONG_TOPIC', {
  status: 403,
  message: 'the events belong to another Event Grid topic',
  remedy:
    'Point the subscription of the configured Communication Services resource here, or correct RTVOICE_EVENTGRID_TOPIC.',
});
export const BODY_TOO_LARGE = defineError('ERR_BODY_TOO_LARGE', {
  status: 413,
  message: 'the body is larger than 256 KiB',
  remedy: 'Send fewer events in one request.',
});
export const BODY_TIMEOUT = defineError('ERR_BODY_TIMEOUT', {
  status: 408,
  message: 'the body did not arrive in time',
  remedy: 'Send the whole body within five seconds.',
});
export const BODY_INVALID = defineError('ERR_BODY_INVALID', {
  status: 400,
  message: 'the body cannot be used',
  remedy: 'Send JSON of the shape that docs/http.md names for the path.',
});
export const HEADER_MISSING = defineError('ERR_HEADER_MISSING', {
  status: 400,
  message: 'a required header is missing',
  remedy: 'Send the named header; ACS sets it on every media connection.',
});
export const UNAVAILABLE = defineError('ERR_UNAVAILABLE', {
  status: 503,
  message: 'the request cannot be served just now',
  remedy: 'Send it again shortly; the detail and the metrics say what is missing.',
});
export const CALL_ELSEWHERE = defineError('ERR_CALL_ELSEWHERE', {
  status: 421,
  message: 'this worker does not own the call',
  remedy: 'Ask the owner that the answer names.',
});
export const CALL_UNKNOWN = defineError('ERR_CALL_UNKNOWN', {
  status: 404,
  message: 'no such call is known',
  remedy: 'It has ended, or never was; send nothing more for it.',
});
export const HAND_OFF_REFUSED = defineError('ERR_HAND_OFF_REFUSED', {
  status: 409,
  message: 'the worker does not take the call',
  remedy: 'Place the call again without this worker.',
});
export const TOO_MANY_PENDING = defineError('ERR_TOO_MANY_PENDING', {
  status: 503,
  message: 'too many requests of this source are waiting to be authenticated',
  remedy: 'Wait for the answers, then send the rest.',
});
