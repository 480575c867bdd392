import { CallAutomationClient } from '@azure/communication-call-automation';
import type { TokenCredential } from '@azure/identity';
import { defineError, errorCode } from '../../platform/errors.ts';
import { Counter, type Registry } from '../../platform/metrics.ts';

export const TRANSFER_TARGET_INVALID = defineError('ERR_TRANSFER_TARGET_INVALID', {
  status: 422,
  message: 'the transfer or redirect target is neither a phone number nor an ACS user',
  remedy: 'Write a phone number as +15551230000 or a user as 8:acs:….',
});

export type AnswerOutcome =
  | { kind: 'answered'; callConnectionId: string; serverCallId: string; correlationId: string }
  /** Another request answered this ring: the call stands, and its id comes with the first callback or upgrade. */
  | { kind: 'alreadyAnswered' }
  /** The caller is gone, or the ring time is over. */
  | { kind: 'gone'; code: string }
  /** ACS was not reached or failed on its side; worth another try within the ring time. */
  | { kind: 'unavailable'; code: string };

/** What the product asks of ACS. The real SDK retries 429 and 5xx by itself with the same repeatability id. */
export interface AcsCalls {
  answer(request: {
    incomingCallContext: string;
    callbackUrl: string;
    transportUrl: string;
    sampleRateHertz: 16000 | 24000;
    callRef: string;
    signal: AbortSignal;
  }): Promise<AnswerOutcome>;
  reject(incomingCallContext: string): Promise<void>;
  redirect(incomingCallContext: string, target: string): Promise<void>;
  /** Resolves too when ACS no longer knows the call. */
  hangUp(callConnectionId: string): Promise<void>;
  transfer(callConnectionId: string, target: string): Promise<void>;
  startMediaStreaming(callConnectionId: string): Promise<void>;
}

/** Sub-codes that say how an answer was refused: azure-docs, call-automation-sdk error codes; 8519 = conflict. */
const ALREADY_ANSWERED = new Set(['8519', '409']);
const GONE = new Set(['8522', '8528', '8586', '8587', '8501', '404', '410']);

export function answerFailure(error: unknown): AnswerOutcome {
  const status = (error as { statusCode?: number } | null)?.statusCode;
  const code = errorCode(error);
  if (ALREADY_ANSWERED.has(code) || status === 409) return { kind: 'alreadyAnswered' };
  if (GONE.has(code) || status === 404 || status === 410) return { kind: 'gone', code };
  // Another 4xx will not become better by asking again, but nobody else can answer either: the ring ends.
  if (status !== undefined && status >= 400 && status < 500 && status !== 429 && status !== 401 && status !== 403)
    return { kind: 'gone', code };
  return { kind: 'unavailable', code };
}

function target(raw: string): { phoneNumber: string } | { communicationUserId: string } {
  if (/^\+?[0-9]{3,20}$/.test(raw)) return { phoneNumber: raw };
  if (/^4:\+?[0-9]{3,20}$/.test(raw)) return { phoneNumber: raw.slice(2) };
  if (raw.startsWith('8:')) return { communicationUserId: raw };
  throw TRANSFER_TARGET_INVALID.with(raw.slice(0, 8));
}

export function createAcsCalls(options: {
  endpoint: string;
  credential: TokenCredential;
  registry: Registry;
}): AcsCalls {
  const client = new CallAutomationClient(options.endpoint, options.credential, {
    retryOptions: { maxRetries: 3, retryDelayInMs: 300, maxRetryDelayInMs: 2_000 },
  });
  const requests = new Counter({
    name: 'rtvoice_acs_requests_total',
    help: 'Requests to ACS Call Automation by operation and result.',
    labelNames: ['operation', 'result'],
    registers: [options.registry],
  });

  async function counted<T>(operation: string, run: () => Promise<T>): Promise<T> {
    try {
      const result = await run();
      requests.inc({ operation, result: 'ok' });
      return result;
    } catch (error) {
      requests.inc({ operation, result: errorCode(error) });
      throw error;
    }
  }

  return {
    async answer(request) {
      try {
        const result = await counted('answer', () =>
          client.answerCall(request.incomingCallContext, request.callbackUrl, {
            operationContext: request.callRef,
            abortSignal: request.signal,
            mediaStreamingOptions: {
              transportType: 'websocket',
              transportUrl: request.transportUrl,
              contentType: 'audio',
              audioChannelType: 'mixed',
              startMediaStreaming: true,
              enableBidirectional: true,
              enableDtmfTones: true,
              audioFormat: request.sampleRateHertz === 24000 ? 'pcm24KMono' : 'pcm16KMono',
            },
          }),
        );
        const properties = result.callConnectionProperties;
        return {
          kind: 'answered',
          callConnectionId: properties.callConnectionId ?? '',
          serverCallId: properties.serverCallId ?? '',
          correlationId: properties.correlationId ?? '',
        };
      } catch (error) {
        return answerFailure(error);
      }
    },
    reject: (context) => counted('reject', () => client.rejectCall(context, { callRejectReason: 'busy' })),
    redirect: (context, to) =>
      counted('redirect', () => client.redirectCall(context, { targetParticipant: target(to) })),
    async hangUp(callConnectionId) {
      try {
        await counted('hangUp', () => client.getCallConnection(callConnectionId).hangUp(true));
      } catch (error) {
        if (answerFailure(error).kind !== 'gone') throw error;
      }
    },
    async transfer(callConnectionId, to) {
      await counted('transfer', () => client.getCallConnection(callConnectionId).transferCallToParticipant(target(to)));
    },
    async startMediaStreaming(callConnectionId) {
      await counted('startMediaStreaming', () =>
        client.getCallConnection(callConnectionId).getCallMedia().startMediaStreaming(),
      );
    },
  };
}
