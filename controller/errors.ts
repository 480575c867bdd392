import { defineError } from '../platform/errors.ts';

export const POOL_UNKNOWN = defineError('ERR_POOL_UNKNOWN', {
  status: 404,
  message: 'there is no such pool',
  remedy: '`rtvoice pool get` lists the pools; `rtvoice pool apply FILE` makes one.',
});

export const WORKER_UNKNOWN = defineError('ERR_WORKER_UNKNOWN', {
  status: 404,
  message: 'there is no such worker',
  remedy: '`rtvoice pool get -o json` lists the workers.',
});

export const POOL_IMMUTABLE = defineError('ERR_POOL_IMMUTABLE', {
  status: 409,
  message: 'a field of the pool cannot be changed',
  remedy:
    'Make a new pool with that value and take the old one down: its live calls are found under the old value only.',
});

export const NOT_LEADING = defineError('ERR_NOT_LEADING', {
  status: 503,
  message: 'another replica of the controller leads',
  remedy: 'Ask the Pod that the Lease `rtvoice-controller` names: it alone knows why it decided what.',
});

export const SCALE_REFUSED = defineError('ERR_SCALE_REFUSED', {
  status: 409,
  message: 'the number of workers was not changed',
  remedy: 'Change minWorkers, maxWorkers or scaling.mode of the pool with `rtvoice pool apply FILE`.',
});

export const REQUEST_INVALID = defineError('ERR_REQUEST_INVALID', {
  status: 400,
  message: 'the request is not valid',
  remedy: 'Send the named field as the documentation of the controller API describes it.',
});

export const API_UNAUTHORIZED = defineError('ERR_API_UNAUTHORIZED', {
  status: 401,
  message: 'the token is missing or wrong',
  remedy: 'Send `Authorization: Bearer` with the text of controller.token in the state folder.',
});

export const ROUTE_UNKNOWN = defineError('ERR_ROUTE_UNKNOWN', {
  status: 404,
  message: 'there is nothing at this path',
  remedy:
    'The paths are /pools, /pools/NAME/scale, /workers/ID/drain, /explain/scale, /explain/placement, /shutdown, /livez, /readyz and /metrics.',
});
