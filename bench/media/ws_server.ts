import { createOutboundAudioData, StreamingData } from '@azure/communication-call-automation';
import { type RawData, WebSocketServer } from 'ws';
import { type Figures, serveFigures } from './server_figures.ts';

/**
 * `node ws_server.ts <mode>`: what most bots in Node.js are made of, on `ws` at its best options. json: JSON.parse, base64, JSON.stringify.
 * acsSdk: the parser and writer of the ACS SDK, as in Microsoft's quickstart.
 */
const mode = process.argv[2] ?? 'json';
const figures: Figures = { framesIn: 0, framesOut: 0, speechFrames: 0, utterances: 0, loopP99Ms: 0 };

function viaJson(message: RawData): string {
  const pcm = Buffer.from(JSON.parse(message.toString()).audioData.data, 'base64');
  return JSON.stringify({ kind: 'AudioData', audioData: { data: pcm.toString('base64') } });
}

function viaSdk(message: RawData): string {
  const audio = StreamingData.parse(message as unknown as ArrayBuffer) as { data: string };
  if (StreamingData.getStreamingKind() !== 'AudioData') return '';
  const pcm = Buffer.from(audio.data, 'base64');
  return createOutboundAudioData(pcm.toString('base64'));
}

const answer = mode === 'acsSdk' ? viaSdk : viaJson;
const options = { host: '127.0.0.1', port: 0, perMessageDeflate: false, skipUTF8Validation: true, backlog: 8192 };
const server = new WebSocketServer(options);
server.on('connection', (socket) => {
  socket.on('message', (message) => {
    figures.framesIn++;
    figures.framesOut++;
    socket.send(answer(message), { binary: false });
  });
});
server.on('listening', () => {
  const address = server.address();
  if (typeof address === 'object' && address) serveFigures(address.port, figures, () => undefined);
});
