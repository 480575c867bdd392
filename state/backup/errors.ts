import { defineError } from '../../platform/errors.ts';

export const BACKUP_UNREADABLE = defineError('ERR_BACKUP_UNREADABLE', {
  status: 400,
  message: 'a backup cannot be used',
  remedy: 'Take a file that `rtvoice backup` finished; nothing was restored from this one.',
});
export const BACKUP_OF_ANOTHER = defineError('ERR_BACKUP_OF_ANOTHER', {
  status: 409,
  message: 'a backup is of another fleet',
  remedy:
    'Restore with the pool document and the RTVOICE_REDIS_MODE of the fleet that was backed up: prefix, environment and layout are part of every key.',
});
export const RESTORE_NOT_EMPTY = defineError('ERR_RESTORE_NOT_EMPTY', {
  status: 409,
  message: 'the Redis to restore into holds records of this fleet',
  remedy:
    'Restore into an empty database, or with --merge, which keeps every record that is there and adds the others.',
});
