import { defineError, RtvoiceError } from '../platform/errors.ts';
import type { ControllerAddress } from './controller_address.ts';
import { LOCAL_MODE_AWAY } from './dev/controller_client.ts';

export const CONTROLLER_REFUSED = defineError('ERR_CONTROLLER_ANSWER', {
  status: 502,
  message: 'the controller did not do it',
  remedy: 'See the message, and controller.log in the state folder.',
});

const TIMEOUT_MS = 15_000;
const MAX_ANSWER_CHARACTERS = 4 * 1024 * 1024;

/** What the controller answers instead of a result: its own code, message and remedy. */
interface Refusal {
  error?: { code?: string; message?: string; remedy?: string };
}

/** One request to a controller. Errors carry the controller's own code, message and remedy; 409 means refused. */
export async function askController<T>(
  { url, token }: ControllerAddress,
  method: 'GET' | 'PUT' | 'POST',
  path: string,
  body?: unknown,
): Promise<T> {
  let response: Response;
  try {
    response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (cause) {
    throw LOCAL_MODE_AWAY.with(`the controller does not answer at ${url}`, cause);
  }
  const text = await response.text();
  if (text.length > MAX_ANSWER_CHARACTERS) throw CONTROLLER_REFUSED.with('its answer is too long');
  if (response.ok) return JSON.parse(text) as T;
  throw refusal(response.status, text);
}

function refusal(status: number, text: string): RtvoiceError {
  try {
    const { error } = JSON.parse(text) as Refusal;
    const [code, message, remedy] = [error?.code, error?.message, error?.remedy];
    if (code?.startsWith('ERR_') && message && remedy) {
      const kind = { code: code as `ERR_${string}`, status, message, remedy, with: () => CONTROLLER_REFUSED.with() };
      return new RtvoiceError(kind);
    }
  } catch {
    // Not ours: the status says all there is.
  }
  return CONTROLLER_REFUSED.with(`status ${status}`);
}
