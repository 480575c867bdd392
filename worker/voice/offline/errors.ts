import { defineError } from '../../../platform/errors.ts';

export const SPEECH_UNAVAILABLE = defineError('ERR_SPEECH_UNAVAILABLE', {
  status: 500,
  message: 'the offline speech libraries cannot be used',
  remedy: 'Install the Debian packages flite, libpocketsphinx3 and pocketsphinx-en-us, or set voice.backend to Echo.',
});

export const SPEECH_FAILED = defineError('ERR_SPEECH_FAILED', {
  status: 500,
  message: 'a speech thread ended while it worked',
  remedy: 'It is started again by itself. When this repeats, look for the memory limit of the worker.',
});

export const SPEECH_BUSY = defineError('ERR_SPEECH_BUSY', {
  status: 503,
  message: 'more speech is waiting than the speech threads can serve',
  remedy: 'Lower slotsPerWorker or give the worker another core.',
});
