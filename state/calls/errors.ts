import { defineError } from '../../platform/errors.ts';

export const CALL_FENCED = defineError('ERR_CALL_FENCED', {
  status: 409,
  message: 'another worker owns this call under a newer fence',
  remedy: 'Stop writing and close the media socket: the newer owner serves the call.',
});
export const CALL_RECORD_INVALID = defineError('ERR_CALL_RECORD_INVALID', {
  status: 400,
  message: 'a call record is not valid',
  remedy: 'Mend the named field.',
});
export const CALL_RECORD_TOO_LARGE = defineError('ERR_CALL_RECORD_TOO_LARGE', {
  status: 413,
  message: 'a call record is larger than allowed',
  remedy: 'Keep large values out of the call context and cut the text before it is appended.',
});
