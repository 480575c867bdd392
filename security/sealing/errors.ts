import { defineError } from '../../platform/errors.ts';

/** Codes of one record's trouble begin with `ERR_RECORD_`: background jobs leave that record and go on with others. */
export const RECORD_KEY_ERASED = defineError('ERR_RECORD_KEY_ERASED', {
  status: 410,
  message: 'a record is unreadable for good: the key of its caller was erased',
  remedy: 'Nothing is to be done where the caller asked for erasure. Else look at who deleted items of the key store.',
});
export const RECORD_NOT_AUTHENTIC = defineError('ERR_RECORD_NOT_AUTHENTIC', {
  status: 500,
  message: 'a sealed record does not open: it was changed, or sealed for another tenant, key, record or version',
  remedy: 'Treat it as tampering until the named record is explained; it is neither used nor overwritten.',
});
export const RECORD_PLAIN = defineError('ERR_RECORD_PLAIN', {
  status: 500,
  message: 'a record stands in clear where records must be sealed',
  remedy: 'Run `rtvoice verify sealing` to find them all; go back to the mode Migrating to read and seal them.',
});
export const KEYS_UNAVAILABLE = defineError('ERR_KEYS_UNAVAILABLE', {
  status: 503,
  message: 'a key that is needed to seal or open records cannot be had now',
  remedy:
    'Look at Key Vault (reachable, key enabled, identity allowed to wrap and unwrap) and at the key stores. Records wait in memory; nothing is written in clear.',
});
export const KEY_RING_INVALID = defineError('ERR_KEY_RING_INVALID', {
  status: 500,
  message: 'the file of tenant keys cannot be used',
  remedy:
    'Make it with `rtvoice keys add`, keep it readable for its owner alone, and keep every key that status still counts.',
});
export const SEAL_UNBOUND = defineError('ERR_SEAL_UNBOUND', {
  status: 500,
  message: 'a record has no caller key: the session of its call was not sealed or opened first',
  remedy: 'This is a fault of rtvoice: report it with the kind of record that the message names.',
});
