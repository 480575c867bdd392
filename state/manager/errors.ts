import { defineError } from '../../platform/errors.ts';

export const VALUE_INVALID = defineError('ERR_VALUE_INVALID', {
  status: 400,
  message: 'a value cannot be stored as JSON without loss',
  remedy: 'Store strings, finite numbers, booleans, null, arrays and plain objects only; change the named member.',
});
export const VALUE_TOO_LARGE = defineError('ERR_VALUE_TOO_LARGE', {
  status: 413,
  message: 'a value is larger than one Redis record may be',
  remedy: 'Split it over several keys, or keep it in Cosmos DB: a large value holds up every command behind it.',
});
export const VALUE_UNREADABLE = defineError('ERR_VALUE_UNREADABLE', {
  status: 500,
  message: 'a stored value is not what was asked for',
  remedy: 'Something else wrote the named key; look at it with redis-cli. Nothing was changed.',
});
export const KEY_NOT_WRITABLE = defineError('ERR_KEY_NOT_WRITABLE', {
  status: 409,
  message: 'this key is written by its owner alone',
  remedy:
    'Use a key of one of the kinds that docs/keys.md calls open, the session fields of a call, or ConversationManager for its conversation.',
});
