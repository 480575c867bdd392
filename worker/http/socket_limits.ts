import { defineError } from '../../platform/errors.ts';

export const SOCKET_LIMIT_INVALID = defineError('ERR_SOCKET_LIMIT_INVALID', {
  status: 500,
  message: 'a limit of the listeners is out of range',
  remedy: 'Use a value of the range that the message names: others would abort the process or cut live calls.',
});

export interface SocketLimits {
  /** A media socket that sent nothing, not even a pong, for this long is dead. 0: never. */
  idleTimeoutSeconds: number;
  /** 0: as long as the call. */
  maxLifetimeMinutes: number;
  pingPeriodMs: number;
  maxMessageBytes: number;
  maxBufferedBytes: number;
  /** TCP connections per listener that are no WebSockets; a newcomer above it is closed. */
  maxConnections: number;
  maxPendingUpgrades: number;
  maxPendingUpgradesPerSource: number;
  maxBodyBytes: number;
  bodyTimeoutMs: number;
  /** An owner that gives no answer for this long gives none (design section 4). */
  ownerAnswerMs: number;
}

export const DEFAULT_SOCKET_LIMITS: SocketLimits = {
  idleTimeoutSeconds: 45,
  maxLifetimeMinutes: 0,
  pingPeriodMs: 20_000,
  maxMessageBytes: 64 * 1024,
  maxBufferedBytes: 256 * 1024,
  maxConnections: 4096,
  maxPendingUpgrades: 512,
  maxPendingUpgradesPerSource: 256,
  maxBodyBytes: 256 * 1024,
  bodyTimeoutMs: 5_000,
  ownerAnswerMs: 500,
};

/** uWebSockets.js ends the whole process on other idle times, and closes at once on a lifetime of 240. */
const RANGES: Readonly<Record<keyof SocketLimits, readonly [min: number, max: number, orZero: boolean]>> = {
  idleTimeoutSeconds: [8, 960, true],
  maxLifetimeMinutes: [1, 239, true],
  pingPeriodMs: [100, 300_000, false],
  maxMessageBytes: [1024, 1024 * 1024, false],
  maxBufferedBytes: [1024, 16 * 1024 * 1024, false],
  maxConnections: [1, 1_000_000, false],
  maxPendingUpgrades: [1, 100_000, false],
  maxPendingUpgradesPerSource: [1, 100_000, false],
  maxBodyBytes: [1024, 1024 * 1024, false],
  bodyTimeoutMs: [10, 60_000, false],
  ownerAnswerMs: [50, 30_000, false],
};

export function checkSocketLimits(limits: SocketLimits): SocketLimits {
  for (const [name, [min, max, orZero]] of Object.entries(RANGES)) {
    const value = limits[name as keyof SocketLimits];
    if (Number.isInteger(value) && ((orZero && value === 0) || (value >= min && value <= max))) continue;
    throw SOCKET_LIMIT_INVALID.with(`${name} must be ${orZero ? '0 or ' : ''}a whole number from ${min} to ${max}`);
  }
  return limits;
}
