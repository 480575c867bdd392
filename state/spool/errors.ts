import { defineError } from '../../platform/errors.ts';

export const SPOOL_FULL = defineError('ERR_SPOOL_FULL', {
  status: 503,
  message: 'the local spool has no room for more records',
  remedy:
    'Bring Redis back: records stay in memory meanwhile and new calls are refused. Raise RTVOICE_SPOOL_MAX_MIB, or free the disk of RTVOICE_SPOOL_DIR.',
});
export const SPOOL_FAILED = defineError('ERR_SPOOL_FAILED', {
  status: 503,
  message: 'the local spool cannot be written',
  remedy: 'Look at the cause: the folder of RTVOICE_SPOOL_DIR must be writable for this process.',
});
