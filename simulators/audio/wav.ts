import { defineError } from '../../platform/errors.ts';

export const WAV_INVALID = defineError('ERR_SIMULATOR_WAV', {
  status: 400,
  message: 'the WAV file cannot be used',
  remedy: 'Give 16-bit mono PCM at 16 kHz.',
});

/** Samples of a RIFF/WAVE file of 16-bit mono PCM at 16 kHz. */
export function readWav(bytes: Buffer): Int16Array {
  if (bytes.length < 12 || bytes.toString('latin1', 0, 4) !== 'RIFF' || bytes.toString('latin1', 8, 12) !== 'WAVE')
    throw WAV_INVALID.with('not a RIFF/WAVE file');
  let described = false;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const id = bytes.toString('latin1', at, at + 4);
    const length = bytes.readUInt32LE(at + 4);
    const body = bytes.subarray(at + 8, at + 8 + length);
    if (id === 'fmt ') {
      requireFormat(body);
      described = true;
    }
    if (id === 'data') {
      if (!described) throw WAV_INVALID.with('data before its format');
      const pcm = new Int16Array(Math.floor(body.length / 2));
      body.copy(new Uint8Array(pcm.buffer), 0, 0, pcm.length * 2);
      return pcm;
    }
    // Chunks begin at even addresses.
    at += 8 + length + (length % 2);
  }
  throw WAV_INVALID.with('no data chunk');
}

function requireFormat(body: Buffer): void {
  if (body.length < 16) throw WAV_INVALID.with('the format chunk is too short');
  const [format, channels, rate, bits] = [
    body.readUInt16LE(0),
    body.readUInt16LE(2),
    body.readUInt32LE(4),
    body.readUInt16LE(14),
  ];
  if (format !== 1 || channels !== 1 || rate !== 16_000 || bits !== 16)
    throw WAV_INVALID.with(`format ${format}, ${channels} channels, ${rate} Hz, ${bits} bits`);
}

export function wavBytes(pcm: readonly Int16Array[], rateHertz: number): Buffer {
  const dataBytes = pcm.reduce((sum, part) => sum + part.byteLength, 0);
  const header = Buffer.alloc(44);
  header.write('RIFF', 0, 'latin1');
  header.writeUInt32LE(36 + dataBytes, 4);
  header.write('WAVEfmt ', 8, 'latin1');
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(rateHertz, 24);
  header.writeUInt32LE(rateHertz * 2, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36, 'latin1');
  header.writeUInt32LE(dataBytes, 40);
  return Buffer.concat([header, ...pcm.map((part) => Buffer.from(part.buffer, part.byteOffset, part.byteLength))]);
}
