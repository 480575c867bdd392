import { randomUUID } from 'node:crypto';
import { sleep } from '../../platform/clock.ts';
import { isObject } from '../http.ts';
import type { SimulatedCall } from './call.ts';
import type { AnswerRequest, CallConnection, MediaOptions } from './connection.ts';
import type { AcsDeps } from './deps.ts';
import { badRequest, notCovered, notEstablished, notFound } from './errors.ts';
import { addressOf, type Identifier, readIdentifier } from './identifiers.ts';
import type { Answer } from './repeatability.ts';

type Body = Record<string, unknown>;

/** What requests find: ringing calls by context, answered ones by connection id. */
export interface AcsCallTable {
  byContext(context: string): SimulatedCall | undefined;
  byConnection(id: string): CallConnection | undefined;
}

const SETTLE_MS = 20;
const CALLS = '/calling/callConnections';

/** `path` is the URL's path, decoded part by part. Throws AcsError. */
export function operate(deps: AcsDeps, calls: AcsCallTable, method: string, path: string, body: Body): Answer {
  if (!path.startsWith(CALLS))
    throw notCovered(path.startsWith('/calling/recordings') ? 'call recording' : 'this path');
  const rest = path.slice(CALLS.length);
  if (rest === '' || rest === ':connect') throw notCovered('outbound and connected calls');
  const incoming = /^:(answer|reject|redirect)$/.exec(rest)?.[1];
  if (incoming !== undefined && method === 'POST') return onIncomingCall(incoming, ringing(calls, body), body);
  const [, id = '', tail = ''] = /^\/([^/:]+)(.*)$/.exec(rest) ?? [];
  const connection = calls.byConnection(decodeURIComponent(id));
  if (!connection) throw notFound();
  return onConnection(deps, connection, `${method} ${tail}`, body);
}

function ringing(calls: AcsCallTable, body: Body): SimulatedCall {
  const call = calls.byContext(text(body, 'incomingCallContext'));
  if (!call) throw notFound();
  return call;
}

function onIncomingCall(operation: string, call: SimulatedCall, body: Body): Answer {
  if (operation === 'reject') {
    call.reject(optionalText(body, 'callRejectReason') ?? 'none');
    return { status: 204 };
  }
  if (operation === 'redirect') {
    call.redirect(addressOf(readIdentifier(body.target, 'target')));
    return { status: 204 };
  }
  return { status: 200, body: properties(call.answer(answerRequest(body))) };
}

function answerRequest(body: Body): AnswerRequest {
  const media = body.mediaStreamingOptions;
  return {
    callbackUri: webUrl(body, 'callbackUri', ['http:', 'https:']),
    operationContext: optionalText(body, 'operationContext'),
    media: isObject(media) ? mediaOptions(media) : undefined,
  };
}

function mediaOptions(media: Body): MediaOptions {
  if (media.transportType !== 'websocket') throw badRequest('mediaStreamingOptions.transportType must be websocket.');
  const format = String(media.audioFormat ?? 'pcm16KMono').toLowerCase();
  if (format !== 'pcm16kmono' && format !== 'pcm24kmono')
    throw badRequest('mediaStreamingOptions.audioFormat is unknown.');
  return {
    transportUrl: webUrl(media, 'transportUrl', ['ws:', 'wss:']),
    startMediaStreaming: media.startMediaStreaming === true,
    enableDtmfTones: media.enableDtmfTones === true,
    rate: format === 'pcm24kmono' ? 24_000 : 16_000,
  };
}

function properties(connection: CallConnection) {
  const { call, request, id, state, streaming, subscriptionId } = connection;
  return {
    callConnectionId: id,
    serverCallId: call.serverCallId,
    correlationId: call.record.correlationId,
    targets: [call.to],
    source: call.from,
    callConnectionState: state,
    callbackUri: request.callbackUri,
    ...(request.media
      ? {
          mediaStreamingSubscription: {
            id: subscriptionId,
            state: streaming ? 'active' : 'inactive',
            subscribedContentTypes: ['audio'],
          },
        }
      : {}),
  };
}

function onConnection(deps: AcsDeps, connection: CallConnection, operation: string, body: Body): Answer {
  const over = connection.state === 'disconnected';
  switch (operation) {
    case 'GET ':
      if (over) throw notFound();
      return { status: 200, body: properties(connection) };
    case 'DELETE ':
    case 'POST :terminate':
      if (over) throw notFound();
      void connection.disconnect('worker');
      return { status: 204 };
  }
  if (connection.state !== 'connected') throw notEstablished();
  const handler = MID_CALL[operation];
  if (handler)
    return handler({ deps, connection, body, context: optionalText(body, 'operationContext'), url: callbackOf(body) });
  const participant = /^GET \/participants\/(.+)$/.exec(operation)?.[1];
  if (participant !== undefined) return oneParticipant(connection, decodeURIComponent(participant));
  throw notCovered(operation);
}

interface MidCall {
  deps: AcsDeps;
  connection: CallConnection;
  body: Body;
  context: string | undefined;
  /** Where this operation's events go instead of the call's callback. */
  url: string | undefined;
}

/** Mid-call operations; those that are not here answer 501. */
const MID_CALL: Readonly<Record<string, (request: MidCall) => Answer>> = {
  'POST :transferToParticipant': transfer,
  'GET /participants': ({ connection }) => ({
    status: 200,
    body: { value: connection.participants.map(participantOf) },
  }),
  'POST /participants:add': addParticipant,
  'POST /participants:remove': removeParticipant,
  'POST /participants:mute': ({ context }) => ({ status: 200, body: { operationContext: context } }),
  'POST :startMediaStreaming': ({ connection }) => {
    connection.startMedia();
    return { status: 202 };
  },
  'POST :stopMediaStreaming': ({ connection, context, url }) => {
    connection.stopMedia(context, url);
    return { status: 202 };
  },
  'POST :play': play,
  'POST :cancelAllMediaOperations': () => ({ status: 202 }),
  'POST :hold': () => ({ status: 200 }),
  'POST :unhold': () => ({ status: 200 }),
  'POST :sendDtmfTones': (request) => {
    later(request, 'SendDtmfTonesCompleted');
    return { status: 202, body: { operationContext: request.context } };
  },
  'POST :startContinuousDtmfRecognition': ({ connection, context }) => {
    connection.continuousDtmf = { operationContext: context, sequence: 0 };
    return { status: 200 };
  },
  'POST :stopContinuousDtmfRecognition': (request) => {
    request.connection.continuousDtmf = undefined;
    later(request, 'ContinuousDtmfRecognitionStopped');
    return { status: 200 };
  },
};

/** The outcome of an operation comes after its answer. */
function later(request: MidCall, type: string, extra: Record<string, unknown> = {}, then?: () => void): void {
  const { deps, connection, context, url } = request;
  void sleep(deps.clock, SETTLE_MS).then(() => {
    if (connection.state !== 'connected') return;
    connection.emit(type, { operationContext: context, ...extra }, { url });
    then?.();
  });
}

function transfer(request: MidCall): Answer {
  const { connection, body, context } = request;
  const transferTarget = readIdentifier(body.targetParticipant, 'targetParticipant');
  if (connection.call.request.faults?.transferFails) {
    const message = 'The transfer target declined the call.';
    later(request, 'CallTransferFailed', { resultInformation: { code: 603, subCode: 0, message } });
  } else {
    later(request, 'CallTransferAccepted', { transferTarget, transferee: connection.call.from }, () => {
      connection.call.record.transferredTo = addressOf(transferTarget);
      void connection.disconnect('transfer');
    });
  }
  return { status: 202, body: { operationContext: context } };
}

const participantOf = (identifier: Identifier) => ({ identifier, isMuted: false, isOnHold: false });

function oneParticipant(connection: CallConnection, rawId: string): Answer {
  const found = connection.participants.find((participant) => participant.rawId === rawId);
  if (!found) throw notFound();
  return { status: 200, body: participantOf(found) };
}

function addParticipant(request: MidCall): Answer {
  const { connection, body, context } = request;
  const participant = readIdentifier(body.participantToAdd, 'participantToAdd');
  later(request, 'AddParticipantSucceeded', { participant }, () => {
    connection.participants.push(participant);
    connection.participantsUpdated();
  });
  return {
    status: 202,
    body: { participant: participantOf(participant), operationContext: context, invitationId: randomUUID() },
  };
}

function removeParticipant(request: MidCall): Answer {
  const { connection, body, context } = request;
  const participant = readIdentifier(body.participantToRemove, 'participantToRemove');
  const at = connection.participants.findIndex(({ rawId }) => rawId === participant.rawId);
  if (at < 0) throw notFound();
  later(request, 'RemoveParticipantSucceeded', { participant }, () => {
    connection.participants.splice(at, 1);
    connection.participantsUpdated();
  });
  return { status: 202, body: { operationContext: context } };
}

/** The events are real; nothing is heard. */
function play(request: MidCall): Answer {
  if (!Array.isArray(request.body.playSources) || request.body.playSources.length === 0)
    throw badRequest('playSources is missing.');
  later(request, 'PlayStarted', {}, () => later(request, 'PlayCompleted'));
  return { status: 202 };
}

function text(body: Body, field: string): string {
  const value = body[field];
  if (typeof value !== 'string' || value === '') throw badRequest(`${field} is missing.`);
  return value;
}

function optionalText(body: Body, field: string): string | undefined {
  const value = body[field];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function webUrl(body: Body, field: string, protocols: readonly string[]): string {
  const value = text(body, field);
  if (!URL.canParse(value) || !protocols.includes(new URL(value).protocol))
    throw badRequest(`${field} is no such URL.`);
  return value;
}

const callbackOf = (body: Body): string | undefined =>
  body.operationCallbackUri === undefined ? undefined : webUrl(body, 'operationCallbackUri', ['http:', 'https:']);
