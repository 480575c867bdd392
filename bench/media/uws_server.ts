import uWS from 'uWebSockets.js';
import { systemClock } from '../../platform/clock.ts';
import { createLog } from '../../platform/log.ts';
import { createRegistry } from '../../platform/metrics.ts';
import { MediaMetrics } from '../../worker/media/metrics.ts';
import { Pacer } from '../../worker/media/pacer.ts';
import type { MediaListener, MediaSocket, MediaStream } from '../../worker/media/ports.ts';
import { type MediaSettings, mediaSettings } from '../../worker/media/settings.ts';
import { createMediaStream } from '../../worker/media/stream.ts';
import { SAMPLE_RATE_HERTZ, speechPcm } from './frames.ts';
import { type Figures, serveFigures } from './server_figures.ts';

/**
 * `node uws_server.ts <mode>`: a bare uWebSockets.js app around the media path of the product, or around what it is compared with.
 * raw: echoes the bytes. json: JSON.parse, base64, JSON.stringify. codec: the product's decoder and paced playback. full: the same with voice
 * activity and turn detection. fullSingleWrites: full, one write per frame.
 */
const mode = process.argv[2] ?? 'raw';
const figures: Figures = { framesIn: 0, framesOut: 0, speechFrames: 0, utterances: 0, loopP99Ms: 0 };

interface Connection {
  message(bytes: ArrayBuffer): void;
  closed(): void;
}
type Open = (socket: uWS.WebSocket<{ connection?: Connection }>) => Connection;

const openRaw: Open = (socket) => ({
  message(bytes) {
    figures.framesIn++;
    figures.framesOut++;
    socket.send(bytes, false);
  },
  closed: () => undefined,
});

const openJson: Open = (socket) => ({
  message(bytes) {
    figures.framesIn++;
    figures.framesOut++;
    const pcm = Buffer.from(JSON.parse(Buffer.from(bytes).toString()).audioData.data, 'base64');
    socket.send(JSON.stringify({ kind: 'AudioData', audioData: { data: pcm.toString('base64') } }), false);
  },
  closed: () => undefined,
});

/** A backend speaks faster than real time: a second of audio for every second that has been heard, one second ahead. */
const CHUNK_FRAMES = 50;
const CHUNKS_PER_ANSWER = 5;

function openProduct(settings: MediaSettings): Open {
  const registry = createRegistry({ processMetrics: false });
  const metrics = new MediaMetrics(registry);
  const pacer = new Pacer({ clock: systemClock, metrics, log: createLog({ process: 'bench' }) });
  const second = speechPcm(CHUNK_FRAMES);
  serveProductFigures(metrics);
  return (socket) => {
    let heard = 0;
    let stream: MediaStream | undefined;
    const answer = () => {
      const id = String(Math.floor(heard / CHUNK_FRAMES / CHUNKS_PER_ANSWER));
      stream?.play(id, second);
    };
    const listener: MediaListener = {
      onMetadata: () => undefined,
      onDtmf: () => undefined,
      onPlaybackStarted: () => undefined,
      onPlaybackEnded: () => undefined,
      onMustClose: (reason) => process.stderr.write(`closed: ${reason}\n`),
      onFrame(_pcm, activity) {
        if (activity !== 'silence') figures.speechFrames++;
        if (activity === 'start') figures.utterances++;
      },
    };
    stream = createMediaStream({ listener, pacer, settings, metrics, clock: systemClock });
    const covered: MediaSocket = coverSocket(socket);
    stream.attach(covered);
    answer();
    return {
      message(bytes) {
        stream.receive(bytes);
        if (++heard % CHUNK_FRAMES === 0) answer();
      },
      closed() {
        stream.detach(covered);
        stream.close('acsClose');
      },
    };
  };
}

function coverSocket(socket: uWS.WebSocket<{ connection?: Connection }>): MediaSocket {
  return {
    send: (message) => socket.send(message, false),
    cork: (send) => void socket.cork(send),
    bufferedBytes: () => socket.getBufferedAmount(),
    end: (code, reason) => void socket.end(code, reason),
  };
}

function serveProductFigures(metrics: MediaMetrics): void {
  readFigures = () => {
    figures.framesIn = metrics.framesIn;
    figures.framesOut = metrics.framesOut;
  };
}
let readFigures = (): void => undefined;

const off = { sampleRateHertz: SAMPLE_RATE_HERTZ, turnDetection: 'off' } as const;
const worker = { sampleRateHertz: SAMPLE_RATE_HERTZ, turnDetection: 'worker' } as const;
const MODES: Record<string, () => Open> = {
  raw: () => openRaw,
  json: () => openJson,
  codec: () => openProduct(mediaSettings(off)),
  full: () => openProduct(mediaSettings(worker)),
  fullSingleWrites: () => openProduct(mediaSettings({ ...worker, framesPerWrite: 1 })),
};
const open = MODES[mode]?.();
if (!open) throw new Error(`unknown mode ${mode}; one of ${Object.keys(MODES).join(', ')}`);

uWS
  .App()
  .ws<{ connection?: Connection }>('/*', {
    maxPayloadLength: 64 * 1024,
    maxBackpressure: 256 * 1024,
    idleTimeout: 60,
    compression: uWS.DISABLED,
    upgrade: (res, req, context) => {
      const header = (name: string) => req.getHeader(name);
      res.upgrade(
        {},
        header('sec-websocket-key'),
        header('sec-websocket-protocol'),
        header('sec-websocket-extensions'),
        context,
      );
    },
    open: (socket) => {
      socket.getUserData().connection = open(socket);
    },
    message: (socket, bytes) => socket.getUserData().connection?.message(bytes),
    close: (socket) => socket.getUserData().connection?.closed(),
  })
  .listen('127.0.0.1', 0, (listening) => {
    if (!listening) throw new Error('cannot listen on a loopback port');
    serveFigures(uWS.us_socket_local_port(listening), figures, () => readFigures());
  });
